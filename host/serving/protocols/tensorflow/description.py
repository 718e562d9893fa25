"""The OpenAPI description of TensorFlow Serving's HTTP routes."""

from arrayloom.host.serving.core.openapi import STRING, array, operation, record, ref
from arrayloom.host.serving.protocols import tensorflow as routes

_TENSOR = {"description": "A tensor as nested lists, or tensors by name; images and other bytes as {\"b64\": \"...\"}."}
_SIGNATURE = {"signature_name": STRING}
_ROW = {"oneOf": [
    record({"instances": {"type": "array", "minItems": 1, "items": {"description": "One entry per image."}}}, _SIGNATURE,
           closed=True),
    record({"inputs": _TENSOR}, _SIGNATURE, closed=True)]}

SCHEMAS = {
    "PredictRequest": _ROW,
    "PredictResponse": {"oneOf": [record({"predictions": {"type": "array"}}), record({"outputs": _TENSOR})]},
    "ModelStatus": record({"model_version_status": array(record({
        "version": STRING, "state": {"type": "string", "enum": ["START", "LOADING", "AVAILABLE", "END"]},
        "status": record({"error_code": STRING, "error_message": STRING})}))}),
    "Signatures": record({"model_spec": record({"name": STRING, "signature_name": STRING, "version": STRING}),
                          "metadata": {"type": "object"}}),
}

OPERATIONS = {
    routes.STATUS: operation("The state of a version, or of all.", ref("ModelStatus")),
    routes.METADATA: operation("The signatures of a model.", ref("Signatures")),
    routes.PREDICT: operation("Run a model, in rows (instances) or columns (inputs).", ref("PredictResponse"),
                              ref("PredictRequest")),
}
