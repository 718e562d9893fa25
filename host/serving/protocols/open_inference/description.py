"""The OpenAPI description of the Open Inference Protocol's HTTP routes."""

from arrayloom.host.serving.core.openapi import BOOLEAN, INTEGER, STRING, array, operation, record, ref
from arrayloom.host.serving.protocols import open_inference as routes
from arrayloom.host.serving.protocols.open_inference import JSON_LENGTH
from arrayloom.host.serving.protocols.open_inference.tensors import BYTES, DTYPES

_OBJECT = {"type": "object"}
_DATATYPE = {"type": "string", "enum": [*DTYPES, BYTES]}
_SHAPE = array({"type": "integer", "minimum": -1})
_DATA = {"type": "array", "description": "Nested or flat; images and other bytes as {\"b64\": \"...\"}."}
_DURATION = record({"count": INTEGER, "ns": INTEGER})
_PARTS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
_PORT = record({"name": STRING, "data_type": STRING, "dims": array(INTEGER)})

SCHEMAS = {
    "InferenceRequest": record({"inputs": array(record(
        {"name": STRING, "datatype": _DATATYPE, "shape": array({"type": "integer", "minimum": 0})},
        {"data": _DATA, "parameters": _OBJECT}))}, {
        "id": STRING, "parameters": {"type": "object", "properties": {"timeout": {
            "type": "integer", "minimum": 1, "description": "The deadline, in microseconds."}}},
        "outputs": array(record({"name": STRING}, {"parameters": {"type": "object", "properties": {
            "classification": {"type": "integer", "minimum": 1}, "binary_data": BOOLEAN}}}))}),
    "InferenceResponse": record({"model_name": STRING, "model_version": STRING, "outputs": array(record(
        {"name": STRING, "datatype": _DATATYPE, "shape": _SHAPE}, {"data": _DATA, "parameters": _OBJECT}))}, {"id": STRING}),
    "TensorMetadata": record({"name": STRING, "datatype": _DATATYPE, "shape": _SHAPE}),
    "ModelMetadata": record({"name": STRING, "platform": STRING, "versions": array(STRING),
                             "inputs": array(ref("TensorMetadata")), "outputs": array(ref("TensorMetadata"))}),
    "ModelConfig": record({"name": STRING, "platform": STRING, "backend": STRING, "max_batch_size": INTEGER,
                           "input": array(_PORT), "output": array(_PORT), "version_policy": _OBJECT,
                           "instance_group": array(_OBJECT), "parameters": _OBJECT}),
    "ModelStatistics": record({"model_stats": array(record({
        "name": STRING, "version": STRING, "last_inference": INTEGER, "inference_count": INTEGER,
        "execution_count": INTEGER, "inference_stats": record(dict.fromkeys(_PARTS, _DURATION)),
        "batch_stats": array(_OBJECT)}))}),
    "Ready": record({"ready": BOOLEAN}, {"name": STRING}),
    "Order": record({}, {"parameters": _OBJECT}),
}

_INFER = operation("Run a model.", ref("InferenceResponse"), ref("InferenceRequest"),
                   description=f"With the header {JSON_LENGTH}, which gives the length of the JSON, raw tensors follow the "
                               "JSON.")
_STATISTICS = operation("Counters of requests and their outcomes.", ref("ModelStatistics"))

OPERATIONS = {
    routes.SERVER_METADATA: operation("Say what serves.", record({"name": STRING, "version": STRING,
                                                                  "extensions": array(STRING)})),
    routes.LIVE: operation("Whether the process is alive.", record({"live": BOOLEAN})),
    routes.READY: operation("Whether a device holds a model; 503 if not.", ref("Ready")),
    routes.INDEX: operation("List the models.", array(record({"name": STRING, "version": STRING, "state": STRING,
                                                              "reason": STRING})),
                            record({}, {"ready": BOOLEAN}), required=False),
    routes.LOAD: operation("Load a model, NAME or NAME:VERSION, onto the device.", _OBJECT, ref("Order"), required=False),
    routes.UNLOAD: operation("Unload a model, NAME or NAME:VERSION.", _OBJECT, ref("Order"), required=False),
    routes.ALL_STATISTICS: _STATISTICS,
    routes.STATISTICS: _STATISTICS,
    routes.CONFIG: operation("How a model is served.", ref("ModelConfig")),
    routes.MODEL_METADATA: operation("Inputs and outputs of a model.", ref("ModelMetadata")),
    routes.MODEL_READY: operation("Whether the device holds a model; 503 if not.", ref("Ready")),
    routes.INFER: _INFER,
}
