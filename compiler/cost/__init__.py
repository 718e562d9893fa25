"""A cost model: predicts the cycles of a program from its instructions."""

from arrayloom.compiler.cost.model import LayerCycles, Prediction, predict

__all__ = ["LayerCycles", "Prediction", "predict"]
