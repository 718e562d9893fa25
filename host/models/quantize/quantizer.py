"""`quantize`: the steps in order."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import onnx

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.emit import Scale, check_scales, integer_form, quantized_form, scales_of
from arrayloom.host.models.quantize.finish import finish
from arrayloom.host.models.quantize.measure import LayerError, measure_layers
from arrayloom.host.models.quantize.plan import make_plan
from arrayloom.host.models.quantize.prepare import Prepared, prepare
from arrayloom.host.models.quantize.ranges import METHODS, Progress, find_ranges


@dataclass(frozen=True)
class Quantized:
    """A quantized network.

    Attributes:
        model: QOperator form, uint8 activations, int8 weights with a scale for each channel.
        prepared: the float network it was made from.
        calibration: what its ranges come from.
        scales: scale and zero point of each quantized value, by its name in the prepared network.
        notes: sentences about what was changed on the way.
    """

    model: onnx.ModelProto
    prepared: Prepared
    calibration: Calibration = field(repr=False)
    scales: dict[str, Scale] = field(repr=False)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def layers(self) -> list[LayerError]:
        """The error of every quantized value against float over some calibration images, worst first."""
        return measure_layers(self.prepared.model, self.model, self.scales, self.calibration, self.prepared.ports)


def quantize(
    model: str | Path | onnx.ModelProto,
    calibration: Calibration,
    method: str = "minmax",
    progress: Progress | None = None,
) -> Quantized:
    """Quantize a float network so that the accelerator executes all of it between the first and the last integer.

    Args:
        model: the float network, a file or in memory; its inputs float32 [N, ...], its batch first everywhere.
        calibration: what it is run on to find ranges.
        method: how ranges follow from values: minmax, percentile or entropy.
        progress: called with a step's title, how many images are done, and how many there are.

    Raises:
        QuantizeError: the network is no float network, or the calibration does not fit it or leaves values without scale.
        ModelError: the network as a whole is unusable.
        UnsupportedError: operators that the accelerator does not have; all of them are listed.
    """
    prepared = prepare(model)
    if unknown := unknown_nodes(prepared.model.proto):
        raise UnsupportedError(unknown)
    plan = make_plan(prepared.model)
    ranges = find_ranges(prepared, calibration, method, progress)
    quantized = quantized_form(prepared.model, plan, ranges)
    check_scales(prepared.model, quantized, ranges, len(calibration))
    integer = finish(integer_form(quantized), prepared.original.metadata_props)
    graph = import_model(integer)
    return Quantized(integer, prepared, calibration, scales_of(quantized), [*prepared.notes, *graph.notes])


__all__ = ["METHODS", "Progress", "Quantized", "quantize"]
