"""Compares the cost model with the RTL: total cycles, and cycles of each layer from its first to its last array cycle."""

from dataclasses import asdict, dataclass
from typing import Any

from arrayloom.compiler.cost import Prediction
from arrayloom.host.analysis.profile.run_profile import Profile

TOTAL_BOUND = 0.03      # limit of the relative error of a run
LAYER_BOUND = 0.05      # limit of the relative error of a layer
COVERED = 0.95          # fraction of the run's cycles in the checked layers


@dataclass(frozen=True)
class LayerDeviation:
    """Cycles from the first to the last in which the array computes; ``held``: whether the layer is checked against the
    limit."""

    name: str
    predicted: int
    measured: int
    held: bool

    @property
    def deviation(self) -> float:
        """Relative error of the prediction; positive if it is too high."""
        return self.predicted / self.measured - 1

    @property
    def within(self) -> bool:
        return not self.held or abs(self.deviation) <= LAYER_BOUND


@dataclass(frozen=True)
class Deviation:
    """A prediction and the measured run."""

    predicted: int
    measured: int
    layers: tuple[LayerDeviation, ...]

    @property
    def deviation(self) -> float:
        return self.predicted / self.measured - 1

    @property
    def covered(self) -> float:
        """The fraction of the run's cycles in the checked layers."""
        return sum(layer.measured for layer in self.layers if layer.held) / self.measured

    @property
    def within(self) -> bool:
        """Whether the total and every checked layer are within their limits."""
        return abs(self.deviation) <= TOTAL_BOUND and all(layer.within for layer in self.layers)

    def figures(self) -> dict[str, Any]:
        """The comparison under the names of ``--json``."""
        return {"predicted": self.predicted, "measured": self.measured, "deviation": self.deviation, "within": self.within,
                "covered": self.covered, "bounds": {"total": TOTAL_BOUND, "layer": LAYER_BOUND, "covered": COVERED},
                "layers": [asdict(layer) | {"deviation": layer.deviation, "within": layer.within} for layer in self.layers]}


def compare(prediction: Prediction, profile: Profile) -> Deviation:
    """Layers for which the array computes, in order of execution; the longest, up to ``COVERED`` of the run, are checked."""
    predicted = {layer.name: layer.last - layer.first + 1 for layer in prediction.layers}
    measured = {layer.name: layer.span[1] - layer.span[0] for layer in profile.layers if layer.span and layer.row.layer}
    held, covered = set(), 0
    for name, cycles in sorted(measured.items(), key=lambda item: -item[1]):
        if covered >= COVERED * profile.cycles:
            break
        held.add(name)
        covered += cycles
    return Deviation(prediction.cycles, profile.cycles, tuple(
        LayerDeviation(name, predicted[name], cycles, name in held) for name, cycles in measured.items()))
