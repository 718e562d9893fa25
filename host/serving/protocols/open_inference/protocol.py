"""The Open Inference Protocol's entry in the registry: the handlers of its methods and routes."""

from arrayloom.host.serving.core.protocol import Protocol
from arrayloom.host.serving.core.reading import Reader
from arrayloom.host.serving.protocols import http_body, wire
from arrayloom.host.serving.protocols import open_inference as routes
from arrayloom.host.serving.protocols.open_inference import description, grpc_api, http_api, messages, reading

OPEN_INFERENCE = Protocol("Open Inference Protocol v2", methods={
    messages.SERVER_LIVE: grpc_api.live,
    messages.SERVER_READY: grpc_api.ready,
    messages.MODEL_READY: grpc_api.model_ready,
    messages.SERVER_METADATA: grpc_api.server_metadata,
    messages.MODEL_METADATA: grpc_api.model_metadata,
    messages.MODEL_INFER: grpc_api.infer,
    messages.MODEL_STREAM_INFER: grpc_api.stream_infer,
    messages.MODEL_CONFIG: grpc_api.model_config,
    messages.MODEL_STATISTICS: grpc_api.model_statistics,
    messages.REPOSITORY_INDEX: grpc_api.repository_index,
    messages.REPOSITORY_MODEL_LOAD: grpc_api.load,
    messages.REPOSITORY_MODEL_UNLOAD: grpc_api.unload,
}, routes={
    routes.SERVER_METADATA: http_api.server_metadata,
    routes.LIVE: http_api.live,
    routes.READY: http_api.ready,
    routes.INDEX: http_api.repository_index,
    routes.LOAD: http_api.load,
    routes.UNLOAD: http_api.unload,
    routes.ALL_STATISTICS: http_api.model_statistics,
    routes.STATISTICS: http_api.model_statistics,
    routes.CONFIG: http_api.model_config,
    routes.MODEL_METADATA: http_api.model_metadata,
    routes.MODEL_READY: http_api.model_ready,
    routes.INFER: http_api.infer,
}, load=routes.LOAD, readers={
    messages.MODEL_INFER.reader: Reader(reading.read_grpc, wire.light(messages.MODEL_INFER.request)),
    reading.HTTP: Reader(reading.read_http, http_body.is_light),
},
   operations=description.OPERATIONS, schemas=description.SCHEMAS)
