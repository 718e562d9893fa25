"""The Open Inference Protocol v2; here are its paths and headers over HTTP."""

from arrayloom.host.serving.core.protocol import Route

_MODEL = "/v2/models/{name}[/versions/{version}]"

SERVER_METADATA = Route("GET", "/v2", "server_metadata")
LIVE = Route("GET", "/v2/health/live", "live", keyless=True)
READY = Route("GET", "/v2/health/ready", "ready", keyless=True)
INDEX = Route("POST", "/v2/repository/index", "index")
LOAD = Route("POST", "/v2/repository/models/{name}/load", "load", admin=True)
UNLOAD = Route("POST", "/v2/repository/models/{name}/unload", "unload", admin=True)
ALL_STATISTICS = Route("GET", "/v2/models/stats", "statistics")
STATISTICS = Route("GET", f"{_MODEL}/stats", "statistics")
CONFIG = Route("GET", f"{_MODEL}/config", "config")
MODEL_METADATA = Route("GET", _MODEL, "model_metadata")
MODEL_READY = Route("GET", f"{_MODEL}/ready", "model_ready")
INFER = Route("POST", f"{_MODEL}/infer", "infer")

JSON_LENGTH = "Inference-Header-Content-Length"
"""The header with the length of a body's JSON part, which raw tensors follow."""
