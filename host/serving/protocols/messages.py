"""The messages of the three protocols, each as a namespace: ``tfs.PredictRequest``, ``oip.ModelInferRequest`` and so on."""

from arrayloom.host.protocol.schema import load

tfs = load("tensorflow_serving")
oip = load("inference")
health = load("health")
