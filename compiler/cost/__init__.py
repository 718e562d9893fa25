"""A cost model: how many cycles a program takes, from its instructions alone."""

from arrayloom.compiler.cost.model import LayerCycles, Prediction, predict

__all__ = ["LayerCycles", "Prediction", "predict"]
