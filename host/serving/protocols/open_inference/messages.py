"""The messages of the Open Inference Protocol and of its model repository extension, and the methods of gRPC that take
them."""

from functools import partial
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols.schema import load

oip = load(Path(__file__).with_name("inference.proto"))


def stream_failure(text: str, identifier: str = "") -> Any:
    """The error response to one request of a stream; the stream continues."""
    return oip.ModelStreamInferResponse(error_message=text, infer_response=oip.ModelInferResponse(id=identifier))


_method = partial(Method, "inference.GRPCInferenceService")
SERVER_LIVE = _method("ServerLive", oip.ServerLiveRequest, oip.ServerLiveResponse, keyless=True)
SERVER_READY = _method("ServerReady", oip.ServerReadyRequest, oip.ServerReadyResponse, keyless=True)
MODEL_READY = _method("ModelReady", oip.ModelReadyRequest, oip.ModelReadyResponse)
SERVER_METADATA = _method("ServerMetadata", oip.ServerMetadataRequest, oip.ServerMetadataResponse)
MODEL_METADATA = _method("ModelMetadata", oip.ModelMetadataRequest, oip.ModelMetadataResponse)
MODEL_INFER = _method("ModelInfer", oip.ModelInferRequest, oip.ModelInferResponse, reader="open_inference/grpc")
MODEL_STREAM_INFER = _method("ModelStreamInfer", oip.ModelInferRequest, oip.ModelStreamInferResponse, stream=True,
                             dialog=True, failure=stream_failure, reader=MODEL_INFER.reader)
MODEL_CONFIG = _method("ModelConfig", oip.ModelConfigRequest, oip.ModelConfigResponse)
MODEL_STATISTICS = _method("ModelStatistics", oip.ModelStatisticsRequest, oip.ModelStatisticsResponse)
REPOSITORY_INDEX = _method("RepositoryIndex", oip.RepositoryIndexRequest, oip.RepositoryIndexResponse)
REPOSITORY_MODEL_LOAD = _method("RepositoryModelLoad", oip.RepositoryModelLoadRequest, oip.RepositoryModelLoadResponse,
                                admin=True)
REPOSITORY_MODEL_UNLOAD = _method("RepositoryModelUnload", oip.RepositoryModelUnloadRequest,
                                  oip.RepositoryModelUnloadResponse, admin=True)
