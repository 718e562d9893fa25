"""TensorFlow Serving's protocol; here are its paths over HTTP."""

from arrayloom.host.serving.core.protocol import Route

_MODEL = "/v1/models/{name}[/versions/{version}|/labels/{label}]"
_NAME = "[^/:]+"        # a colon begins the verb

STATUS = Route("GET", _MODEL, "status", _NAME)
METADATA = Route("GET", f"{_MODEL}/metadata", "metadata", _NAME)
PREDICT = Route("POST", f"{_MODEL}:predict", "predict", _NAME)
