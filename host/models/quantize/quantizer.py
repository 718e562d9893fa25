"""`quantize`, its steps in order, and how often the top classes of the float and of the quantized network agree."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization.calibrate import TensorsData

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.graph import Graph
from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.integer_form import Scale, check_scales, finish, quantized_form, scales_of
from arrayloom.host.models.quantize.layer_error import LayerError, measure_layers
from arrayloom.host.models.quantize.plan import make_plan
from arrayloom.host.models.quantize.prepare import Prepared, annotate, prepare
from arrayloom.host.models.quantize.scales import Progress, find_ranges
from arrayloom.host.models.quantize.tail import Tail, grown, integer_form, left_to_host, tail_of, without_tail
from arrayloom.isa.host_parts import HostWork, InsertedRounding

_NAMED = 5  # nodes of the tail in a note


@dataclass(frozen=True)
class Quantized:
    """A quantized network.

    Attributes
    ----------
    model : onnx.ModelProto
        QOperator form, uint8 activations, int8 weights with a scale for each channel.
    prepared : Prepared
        The float network it was made from.
    calibration : Calibration
        What its ranges come from.
    scales : dict[str, Scale]
        Scale and zero point of each quantized value, by its name in the prepared network.
    notes : list[str]
        Sentences about what was changed on the way.
    notices : list[str]
        Sentences that every output about the network repeats.
    host : HostWork
        What the host computes in float.
    inserted_roundings : list[InsertedRounding]
        Values that are quantized although nothing asked for it.
    """

    model: onnx.ModelProto
    prepared: Prepared
    calibration: Calibration = field(repr=False)
    scales: dict[str, Scale] = field(repr=False)
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    host: HostWork = field(default_factory=HostWork)
    inserted_roundings: list[InsertedRounding] = field(default_factory=list)

    @cached_property
    def layers(self) -> list[LayerError]:
        """The error of every quantized value against float over some calibration images, worst first."""
        return measure_layers(self.prepared.model, self.model, self.scales, self.calibration, self.prepared.ports)


def quantize(
    model: str | Path | onnx.ModelProto,
    calibration: Calibration,
    method: str = "minmax",
    progress: Progress | None = None,
    options: ImportOptions = DEFAULT_OPTIONS,
) -> Quantized:
    """Quantize a float network so that the accelerator executes all of it between the first and the last integer.

    Where nodes at its end have no integer form, they and all that depends on them stay float, as far as ``options`` permit.

    Parameters
    ----------
    model : str | Path | onnx.ModelProto
        The float network, a file or in memory; its inputs float32 [N, ...], its batch first everywhere.
    calibration : Calibration
        What it is run on to find ranges.
    method : str
        How ranges follow from values: minmax, percentile or entropy.
    progress : Progress | None
        Called with a step's title, how many images are done, and how many there are.
    options : ImportOptions
        How much of the network may lie on the host, and whether values may be rounded that stay in float.

    Raises
    ------
    QuantizeError
        The network is no float network, or the calibration does not fit it or leaves values without scale.
    ModelError
        The network as a whole is unusable.
    UnsupportedError
        Operators that the accelerator does not have; all of them are listed.
    """
    prepared = prepare(model)
    float_tail: Tail = frozenset()
    if unknown := unknown_nodes(prepared.model.proto):
        float_tail = grown(prepared.model, float_tail, unknown, options.host)
    front = prepared.model
    if float_tail:
        front = Model(without_tail(prepared.model, float_tail))
        annotate(front)
    front.require_batch()
    ranges = find_ranges(replace(prepared, model=front), calibration, method, progress)
    while True:
        try:
            quantized, integer, graph = _integer(prepared, float_tail, ranges, len(calibration), options)
        except UnsupportedError as error:
            float_tail = grown(prepared.model, float_tail, error.nodes, options.host)
            continue
        larger = tail_of(prepared.model, float_tail | left_to_host(prepared.model, integer, graph))
        if larger == float_tail:
            break
        float_tail = larger
    notes = [*prepared.notes, *_notes(prepared.model, float_tail), *graph.notes]
    return Quantized(integer, prepared, calibration, scales_of(quantized), notes, graph.notices, graph.host,
                     graph.inserted_roundings)


def _integer(prepared: Prepared, float_tail: Tail, ranges: TensorsData, images: int,
             options: ImportOptions) -> tuple[onnx.ModelProto, onnx.ModelProto, Graph]:
    """The network in QDQ form, in integers up to its tail, and as a graph."""
    quantized = quantized_form(prepared.model, make_plan(prepared.model, float_tail), ranges)
    check_scales(prepared.model, quantized, ranges, images)
    integer = finish(integer_form(quantized), prepared.original.metadata_props)
    return quantized, integer, import_model(integer, options).graph


def _notes(model: Model, float_tail: Tail) -> list[str]:
    names = [node.name for node in model.nodes if node.name in float_tail]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"the end of the network stays float, for the host: {', '.join(names[:_NAMED])}{more}"] if names else []


@dataclass(frozen=True)
class Agreement:
    """How often the networks agree with each other and with the truth.

    Attributes
    ----------
    images : int
        How many were compared.
    same_class : int
        How many have the same top class.
    correct_before, correct_after : int | None
        How many top classes of the float and of the quantized network are right; None without labels.
    """

    images: int
    same_class: int
    correct_before: int | None = None
    correct_after: int | None = None

    @property
    def accuracies(self) -> tuple[float, float] | None:
        """Of the float and of the quantized network, 0 to 1; None without labels."""
        if self.correct_before is None or self.correct_after is None:
            return None
        return self.correct_before / self.images, self.correct_after / self.images

    def to_json(self) -> dict[str, Any]:
        """The attributes that are known, and accuracies from 0 to 1."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if self.accuracies:
            values |= dict(zip(("accuracy_before", "accuracy_after"), self.accuracies, strict=True))
        return values


def is_classifier(quantized: Quantized) -> bool:
    """Whether the network has one output, a score for each class."""
    model = quantized.prepared.model
    shapes = [model.shapes[name] for name in model.outputs]
    return len(shapes) == 1 and shapes[0][1:] != () and int(np.prod(shapes[0][1:])) == shapes[0][1] > 1


def compare_classes(quantized: Quantized, calibration: Calibration, labels: Sequence[int] | None,
                    progress: Progress | None = None) -> Agreement:
    """The agreement over all images; `labels` in their order.

    Raises
    ------
    QuantizeError
        A label is no class of the network.
    """
    before, after = Session(quantized.prepared.original), Session(quantized.model)
    output = quantized.prepared.model.outputs[0]
    tops = []
    for index, feed in enumerate(calibration.feeds(quantized.prepared.ports)):
        scores = [session.run(feed)[output].reshape(-1) for session in (before, after)]
        tops.append([int(score.argmax()) for score in scores])
        if progress is not None:
            progress("comparing classes", index + 1, len(calibration))
        if labels is not None and labels[index] >= scores[0].size:
            raise QuantizeError(f"{calibration.names[index]}: label {labels[index]} is no class: the network has "
                                f"{scores[0].size}, from 0; check the labels' numbering")
    found = np.array(tops)
    same = int((found[:, 0] == found[:, 1]).sum())
    if labels is None:
        return Agreement(len(found), same)
    right = (found == np.array(labels)[:, np.newaxis]).sum(axis=0)
    return Agreement(len(found), same, int(right[0]), int(right[1]))
