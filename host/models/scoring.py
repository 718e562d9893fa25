"""Scores images on a device or with ONNX Runtime alone: outputs, features, and the best classes or boxes of each image."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.host.models.detecting import Detection, locate
from arrayloom.host.runtime.boundary import collect
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.report import Progress, RunReport, total
from arrayloom.host.runtime.session import Features, Session
from arrayloom.host.vision.classify import Ranked, rank
from arrayloom.host.vision.detection import Detector
from arrayloom.isa.host_parts import HostWork, InsertedRounding, ModelPort
from arrayloom.isa.host_steps import dequantize
from arrayloom.isa.program import Program

TOP_CLASSES = 5

Batch = Mapping[str, NDArray[Any]]
"""Inputs of the model by name, each [N, ...]."""


class Network(Protocol):
    """A network before it runs: a program, or an imported graph."""

    @property
    def model_inputs(self) -> list[ModelPort]: ...

    @property
    def model_outputs(self) -> list[ModelPort]: ...

    @property
    def labels(self) -> list[str]: ...


class Scores(NamedTuple):
    """A model's results for several batches.

    Attributes
    ----------
    outputs
        Outputs of each batch, by name, each [N, ...].
    features
        Features of each batch; empty if not requested.
    notes
        Notes of the model.
    notices
        Notices of the model.
    report
        Cost of all runs together; None with ONNX Runtime.
    host
        What the host computes in float.
    inserted_roundings
        Float values of the model that are quantized here.
    """

    outputs: list[dict[str, NDArray[Any]]]
    features: list[Features]
    notes: list[str]
    notices: list[str]
    report: RunReport | None
    host: HostWork
    inserted_roundings: list[InsertedRounding]


class Scored(NamedTuple):
    """A model's results for one batch: outputs by name, features if requested, and the cost of the run."""

    outputs: dict[str, NDArray[Any]]
    features: Features | None
    report: RunReport


def score_batch(session: Session, batch: Batch, with_features: bool, progress: Progress | None = None) -> Scored:
    """Runs one batch. Errors as in ``Session``."""
    if with_features:
        outputs, features = session.score(batch, progress)
        return Scored(outputs, features, session.report)
    outputs = session.run(batch, progress)
    return Scored(outputs, None, session.report)


def score_on_device(program: Program, batches: Sequence[Batch], device: Device, with_features: bool = False,
                    progress: Progress | None = None) -> Scores:
    """Runs every batch on ``device``, and closes it. Errors as in ``Session``."""
    with Session(program, device=device) as session:
        return together(program, [score_batch(session, batch, with_features, progress) for batch in batches])


def together(program: Program, scored: Sequence[Scored]) -> Scores:
    """The results of ``program`` for several batches, in order."""
    return Scores([one.outputs for one in scored], [one.features for one in scored if one.features is not None],
                  program.notes, program.notices, total([one.report for one in scored]), program.host,
                  program.inserted_roundings)


def score_by_reference(imported: ImportedModel, batches: Iterable[Batch]) -> Scores:
    """Scores with ONNX Runtime alone: nothing is compiled, so the model need not fit an accelerator.

    Raises ``InputError`` for inputs that do not fit the model.
    """
    reference, graph = ModelReference(imported), imported.graph
    found = [reference.run(collect(batch, graph.model_inputs)) for batch in batches]
    return Scores(found, [], graph.notes, graph.notices, None, graph.host, graph.inserted_roundings)


def rank_outputs(outputs: Mapping[str, NDArray[Any]], ports: Sequence[ModelPort], count: int | None,
                 labels: list[str] | None, threshold: float, detection: Detection | None = None) -> list[list[Ranked]]:
    """For each image of a batch, the ``count`` best (None: five classes or 300 boxes); ``ports``: the model's outputs.

    8-bit outputs are dequantized if the port has scale and zero point. ``threshold``: lower limit of a box's
    confidence; ``detection``: how boxes are found, None for a classifier. Raises ``LabelError`` for labels that do not fit,
    ``DetectionError``, and ``InputError`` for indices, such as those of ArgMax.
    """
    values = {port.name: _real(outputs[port.name], port) for port in ports}
    if detection is not None:
        return [list(boxes) for boxes in locate(values, detection, threshold, count, labels)]
    first = ports[0]
    if first.encoding is None and np.dtype(first.dtype).kind in "biu" and np.dtype(first.dtype).itemsize > 1:
        raise InputError(f"output {first.name!r}: {first.dtype} are indices or counts, not a score for each class; "
                         "arrayloom run PROGRAM.loom --output FILE.npz gives its values")
    return [rank(row, count or TOP_CLASSES, labels) for row in values[first.name]]


def _real(values: NDArray[Any], port: ModelPort) -> NDArray[Any]:
    return values if port.encoding is None else dequantize(values, port.encoding.scale, port.encoding.zero_point)


def known_labels(network: Network, detector: Detector | None) -> list[str] | None:
    """The class names in the model's own file; None if there are none, or not one per score."""
    scores = math.prod(network.model_outputs[0].shape)
    return network.labels if network.labels and (detector or len(network.labels) == scores) else None
