"""The error of every quantized value, compared with the float network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import origin_name, origin_operator
from arrayloom.compiler.frontend.runtime import Session, with_outputs
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.calibration_files import Port
from arrayloom.host.models.quantize.integer_form import INTEGER_SUFFIX, Scale
from arrayloom.isa.host_steps import dequantize

IMAGES = 8
"""Number of images for the measurement, spread over the calibration; errors hardly differ between images."""


@dataclass(frozen=True)
class LayerError:
    """Error of one value, with everything before it quantized too.

    Attributes
    ----------
    value : str
        Its name in the float network.
    node : str
        The node of the given network that computes it, or the value's name for an input.
    operator : str
        That node's operator.
    sqnr_db : float
        Signal to quantization noise ratio, 10 log10(sum x^2 / sum (x - q)^2); infinite if there is no noise.
    relative_error : float
        Root mean square of the noise over that of the signal.
    max_error : float
        The largest difference.
    scale : float
        Scale of the integer value.
    """

    value: str
    node: str
    operator: str
    sqnr_db: float
    relative_error: float
    max_error: float
    scale: float

    def to_json(self) -> dict[str, Any]:
        """The attributes, with None for an infinite ratio."""
        return asdict(self) | {"sqnr_db": self.sqnr_db if math.isfinite(self.sqnr_db) else None}


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0

    def add(self, wanted: NDArray[Any], got: NDArray[Any]) -> None:
        difference = np.subtract(wanted, got, dtype=np.float64)
        self.signal += float(np.square(wanted, dtype=np.float64).sum())
        self.noise += float(np.square(difference).sum())
        self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))


def measure_layers(
    model: Model, integer: onnx.ModelProto, scales: Mapping[str, Scale], calibration: Calibration, ports: Sequence[Port]
) -> list[LayerError]:
    """The error of every value of the prepared network that has an integer counterpart, worst first.

    Parameters
    ----------
    model : Model
        The prepared float network.
    integer : onnx.ModelProto
        The quantized network.
    scales : Mapping[str, Scale]
        Scale of each quantized value, by the float value's name.
    """
    made = {name for node in integer.graph.node for name in node.output}
    names = [name for name in scales if f"{name}{INTEGER_SUFFIX}" in made]
    real = Session(with_outputs(model.proto, [name for name in names if name in model.producers]))
    quantized = Session(with_outputs(integer, [f"{name}{INTEGER_SUFFIX}" for name in names]))
    sums = {name: _Sums() for name in names}
    for feed in calibration.some(IMAGES).feeds(ports):
        wanted, got = feed | real.run(feed), quantized.run(feed)
        for name in names:
            sums[name].add(wanted[name], dequantize(got[f"{name}{INTEGER_SUFFIX}"], *scales[name]))
    return sorted((_error(model, name, sums[name], scales[name]) for name in names), key=lambda error: error.sqnr_db)


def _error(model: Model, name: str, sums: _Sums, scale: Scale) -> LayerError:
    producer = model.producers.get(name)
    node, operator = (origin_name(producer), origin_operator(producer)) if producer is not None else (name, "input")
    ratio = sums.noise / sums.signal if sums.signal else math.inf
    sqnr = -10 * math.log10(ratio) if ratio else math.inf
    return LayerError(name, node, operator, sqnr, math.sqrt(ratio), sums.largest, scale[0])
