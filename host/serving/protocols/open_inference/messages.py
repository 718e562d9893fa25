"""The messages of the Open Inference Protocol and of its model repository extension, and the methods of gRPC that take
them."""

from functools import partial
from pathlib import Path

from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols.schema import load

oip = load(Path(__file__).with_name("inference.proto"))

_method = partial(Method, "inference.GRPCInferenceService")
SERVER_LIVE = _method("ServerLive", oip.ServerLiveRequest, oip.ServerLiveResponse, keyless=True)
SERVER_READY = _method("ServerReady", oip.ServerReadyRequest, oip.ServerReadyResponse, keyless=True)
MODEL_READY = _method("ModelReady", oip.ModelReadyRequest, oip.ModelReadyResponse)
SERVER_METADATA = _method("ServerMetadata", oip.ServerMetadataRequest, oip.ServerMetadataResponse)
MODEL_METADATA = _method("ModelMetadata", oip.ModelMetadataRequest, oip.ModelMetadataResponse)
MODEL_INFER = _method("ModelInfer", oip.ModelInferRequest, oip.ModelInferResponse, reader="open_inference/grpc")
REPOSITORY_INDEX = _method("RepositoryIndex", oip.RepositoryIndexRequest, oip.RepositoryIndexResponse)
REPOSITORY_MODEL_LOAD = _method("RepositoryModelLoad", oip.RepositoryModelLoadRequest, oip.RepositoryModelLoadResponse,
                                admin=True)
