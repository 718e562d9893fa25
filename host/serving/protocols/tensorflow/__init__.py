"""TensorFlow Serving's PredictionService, over gRPC and HTTP."""
