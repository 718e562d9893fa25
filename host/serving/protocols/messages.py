"""The messages of the three protocols, each as a namespace: ``tfs.PredictRequest``, ``oip.ModelInferRequest`` and so on."""

from arrayloom.host.serving.protocols.schema import load

tfs = load("tensorflow/tensorflow_serving")
oip = load("open_inference/inference")
health = load("health/health")
