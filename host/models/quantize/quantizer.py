"""`quantize` with its steps in order, and the agreement of the float and the quantized network's top classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnxruntime.quantization.calibrate import TensorsData

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.extract import middle_model
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.compiler.frontend.origin import clear_origins, origin_name
from arrayloom.compiler.frontend.partition import Partition
from arrayloom.compiler.frontend.permission import advised
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.graph import Graph
from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.bias_correction import correct_biases, mean_sqnr
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.integer_form import Scale, check_scales, finish, integer_form, quantized_form, scales_of
from arrayloom.host.models.quantize.join import join
from arrayloom.host.models.quantize.layer_error import LayerError, measure_layers
from arrayloom.host.models.quantize.plan import make_plan
from arrayloom.host.models.quantize.prepare import Prepared, annotate, prepare
from arrayloom.host.models.quantize.scales import Progress, all_bounds, find_ranges, middle_feeds
from arrayloom.host.models.quantize.split import split
from arrayloom.host.models.quantize.tokens import needs_attention
from arrayloom.isa.host_parts import HostWork, InsertedRounding

_NAMED = 5  # nodes in a note

_NEEDS_ATTENTION = ("the network has attention or layer normalization: compile it for a configuration with attention_lanes, "
                    "such as the preset 16x16-vit")

#: Number of calibration images on which networks with plain and corrected biases are compared.
COMPARED = 32


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
        The source of its ranges.
    scales : dict[str, Scale]
        Scale and zero point of each quantized value, by its name in the prepared network.
    notes : list[str]
        Sentences about the changes.
    notices : list[str]
        Sentences that every output about the network repeats.
    host : HostWork
        The parts at the beginning and the end that stayed float.
    inserted_roundings : list[InsertedRounding]
        Values that are quantized although the network does not require it.
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
    """Quantize a float network so that the accelerator executes everything between the first and the last integer.

    The host computes in float what the accelerator cannot at the end of the network, such as a detector's boxes, and
    the conversion of an input of another dtype to float32.

    Parameters
    ----------
    model : str | Path | onnx.ModelProto
        The float network, a file or in memory; its inputs float32 [N, ...], its batch first everywhere.
    calibration : Calibration
        The images on which it is run to find ranges.
    method : str
        How ranges are computed from values: minmax, percentile or entropy.
    progress : Progress | None
        Called with a step's title, how many images are done, and how many there are.
    options : ImportOptions
        How much of the network may stay float, and whether float values may be rounded.

    Raises
    ------
    QuantizeError
        The network is not a float network, or the calibration does not fit it or leaves values without a scale.
    ModelError
        The network as a whole is unusable.
    UnsupportedError
        Operators that the accelerator does not have; all of them are listed.
    """
    prepared = prepare(model)
    if needs_attention(prepared.model):
        options = replace(options, attention=True)
        prepared.notes.append(_NEEDS_ATTENTION)
    parts = split(prepared.model, options.host)
    middle = _middle(parts)
    ranges = find_ranges(prepared, middle, calibration, method, progress)
    refused: set[str] = set()
    while True:
        try:
            attempt = _integers(middle, ranges, prepared, options)
            check_scales(middle, attempt.quantized, ranges, len(calibration))
            joined = join(parts, attempt.integer)
            graph = import_model(joined, options).graph
            refused |= _left_to_the_host(prepared.model, graph)
            left = split(prepared.model, options.host, refused)
        except UnsupportedError as error:
            refused |= {entry.node for entry in error.nodes}
            left = split(prepared.model, options.host, refused)
            if left == parts:
                raise UnsupportedError([_advised(prepared.model, entry, options.host) for entry in error.nodes]) from error
        if left == parts:
            break
        parts, middle = left, _middle(left)
    best = _with_better_biases(prepared, parts, middle, attempt, ranges, calibration, options)
    if best is not attempt:
        joined = join(parts, best.integer)
        graph = import_model(joined, options).graph
    clear_origins(joined)
    notes = [*prepared.notes, *_notes(parts), *graph.notes]
    return Quantized(joined, prepared, calibration, scales_of(best.quantized), notes, graph.notices, graph.host,
                     graph.inserted_roundings)


def _notes(parts: Partition) -> list[str]:
    """Sentences about the parts that stayed float."""
    notes = []
    for where, places in (("beginning", parts.head), ("end", parts.tail)):
        names = [node.name for node in parts.listed(places)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        if names:
            notes.append(f"the {where} of the network stays float, for the host: {', '.join(names[:_NAMED])}{more}")
    return notes


class _Integers(NamedTuple):
    """The middle of a network in two forms: with QuantizeLinear and DequantizeLinear, and in integer operators."""

    quantized: onnx.ModelProto
    integer: onnx.ModelProto


def _integers(middle: Model, ranges: TensorsData, prepared: Prepared, options: ImportOptions) -> _Integers:
    quantized = quantized_form(middle, make_plan(middle, all_bounds(ranges)), ranges)
    return _Integers(quantized, finish(integer_form(quantized, options), prepared.original.metadata_props))


def _with_better_biases(prepared: Prepared, parts: Partition, middle: Model, plain: _Integers, ranges: TensorsData,
                        calibration: Calibration, options: ImportOptions) -> _Integers:
    """The integer network with corrected biases if it is closer to float on calibration images, else the plain one."""
    corrected = correct_biases(middle, plain.quantized, middle_feeds(prepared, middle, calibration))
    if corrected is None:
        return plain
    model = Model(corrected)
    annotate(model)
    candidate = _integers(model, ranges, prepared, options)
    some = calibration.some(COMPARED)
    before, after = (mean_sqnr(prepared.model, join(parts, each.integer), some.feeds(prepared.ports))
                     for each in (plain, candidate))
    return candidate if after > before else plain


def _middle(parts: Partition) -> Model:
    """The part of the network to quantize; raises `UnsupportedError` for unsupported operators."""
    proto = middle_model(parts)
    if unknown := unknown_nodes(proto):
        raise UnsupportedError(unknown)
    model = parts.model if parts.is_whole else Model(proto)
    model.require_batch()
    annotate(model)
    return model


def _advised(model: Model, entry: Unsupported, policy: HostPolicy) -> Unsupported:
    """The entry with the advice to leave the node to the host, and the share of the network that would then run there."""
    return advised(entry, split(model, HostPolicy.ANY, {entry.node}), policy)


def _left_to_the_host(model: Model, graph: Graph) -> set[str]:
    """Names of the float network's nodes that the import assigns to the host."""
    names = {origin_name(node) for node in model.nodes}
    parts = [part for part in (graph.host.head, graph.host.tail) if part is not None]
    return {name for part in parts for node in part.nodes
            for name in (node.name, node.name.removesuffix("_quant")) if name in names}


@dataclass(frozen=True)
class Agreement:
    """How often the networks agree with each other and with the labels.

    Attributes
    ----------
    images : int
        Number of compared images.
    same_class : int
        Number of images with the same top class.
    correct_before, correct_after : int | None
        Numbers of correct top classes of the float and of the quantized network; None without labels.
    """

    images: int
    same_class: int
    correct_before: int | None = None
    correct_after: int | None = None

    @property
    def accuracies(self) -> tuple[float, float] | None:
        """Accuracy of the float and of the quantized network, 0 to 1; None without labels."""
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
        A label is not a class of the network.
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
            raise QuantizeError(f"{calibration.names[index]}: label {labels[index]} is not a class: the network has "
                                f"{scores[0].size}, from 0; check the labels' numbering")
    found = np.array(tops)
    same = int((found[:, 0] == found[:, 1]).sum())
    if labels is None:
        return Agreement(len(found), same)
    right = (found == np.array(labels)[:, np.newaxis]).sum(axis=0)
    return Agreement(len(found), same, int(right[0]), int(right[1]))
