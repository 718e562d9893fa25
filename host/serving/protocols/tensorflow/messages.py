"""TensorFlow Serving's messages, the gRPC methods that take them, at their original paths, and names used in them."""

from pathlib import Path

from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols.schema import load

_HERE = Path(__file__).parent
tfs = load(_HERE / "tensorflow.proto", _HERE / "tensorflow_serving.proto", _HERE / "metadata.proto")

_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
PREDICT = Method(_PREDICTION, "Predict", tfs.PredictRequest, tfs.PredictResponse, reader="tensorflow/grpc")
GET_MODEL_METADATA = Method(_PREDICTION, "GetModelMetadata", tfs.GetModelMetadataRequest, tfs.GetModelMetadataResponse)
RELOAD_CONFIG = Method(_MODEL, "HandleReloadConfigRequest", tfs.ReloadConfigRequest, tfs.ReloadConfigResponse, admin=True)
GET_MODEL_STATUS = Method(_MODEL, "GetModelStatus", tfs.GetModelStatusRequest, tfs.GetModelStatusResponse)

SIGNATURE_FIELD, LABELS_FIELD, RECIPE_FIELD, ENCODINGS_FIELD = "signature_def", "labels", "recipe", "encodings"
"""Valid values of ``metadata_field``."""

DEFAULT_SIGNATURE, IMAGE_SIGNATURE = "serving_default", "encoded_images"
