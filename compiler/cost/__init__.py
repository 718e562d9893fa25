"""A cost model: how many cycles a program takes, from its instructions alone."""

from arrayloom.compiler.cost.model import predict
from arrayloom.compiler.cost.prediction import LayerCycles, Prediction

__all__ = ["LayerCycles", "Prediction", "predict"]
