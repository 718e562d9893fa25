"""TensorFlow Serving's entry in the registry: the handlers of its methods and routes."""

from arrayloom.host.serving.core.protocol import Protocol
from arrayloom.host.serving.core.reading import Reader
from arrayloom.host.serving.protocols import http_body, wire
from arrayloom.host.serving.protocols import tensorflow as routes
from arrayloom.host.serving.protocols.tensorflow import description, grpc_api, http_api, messages, reading

TENSORFLOW = Protocol("TensorFlow Serving", methods={
    messages.PREDICT: grpc_api.predict,
    messages.GET_MODEL_METADATA: grpc_api.metadata,
    messages.GET_MODEL_STATUS: grpc_api.status,
    messages.RELOAD_CONFIG: grpc_api.reload_config,
}, routes={
    routes.STATUS: http_api.status,
    routes.METADATA: http_api.metadata,
    routes.PREDICT: http_api.predict,
}, readers={messages.PREDICT.reader: Reader(reading.read_grpc, wire.light(messages.PREDICT.request)),
            reading.HTTP: Reader(reading.read_http, http_body.is_light)},
   operations=description.OPERATIONS, schemas=description.SCHEMAS)
