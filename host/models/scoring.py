"""Images scored by a device or by ONNX Runtime alone: outputs, features, and the best classes or boxes of each image."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.host.models.detecting import Detection, locate
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.report import Progress, RunReport, total
from arrayloom.host.runtime.session import Features, Session
from arrayloom.host.vision.classify import Ranked, rank
from arrayloom.isa.host_parts import HostWork, InsertedRounding
from arrayloom.isa.program import Program

TOP_CLASSES = 5

Batch = Mapping[str, NDArray[Any]]
"""Inputs of the model by name, each [N, ...]."""


class Scores(NamedTuple):
    """What a model gave for several batches.

    Attributes:
        names: of the model's outputs in order.
        outputs: of each batch, by name, each [N, ...].
        features: of each batch; empty where they were not asked for.
        notes: of the model.
        notices: likewise.
        report: what all runs cost together; None by ONNX Runtime.
        only_input_shape: [N, ...] of the model's only input; None where it has several.
        host: what the host computes in float.
        inserted_roundings: values that the model has in float and that are quantized here.
    """

    names: list[str]
    outputs: list[dict[str, NDArray[Any]]]
    features: list[Features]
    notes: list[str]
    notices: list[str]
    report: RunReport | None
    only_input_shape: tuple[int, ...] | None
    host: HostWork
    inserted_roundings: list[InsertedRounding]


def score_on_device(program: Program, batches: Sequence[Batch], device: Device, with_features: bool = False,
                    progress: Progress | None = None) -> Scores:
    """Runs every batch on ``device``, and closes it. Errors as in ``Session``."""
    outputs, features, reports = [], [], []
    with Session(program, device=device) as session:
        for batch in batches:
            if with_features:
                found, feature = session.score(batch, progress)
                features.append(feature)
            else:
                found = session.run(batch, progress)
            outputs.append(found)
            reports.append(session.report)
    names = [port.name for port in program.model_outputs]
    return Scores(names, outputs, features, program.notes, program.notices, total(reports), _shape_of(batches), program.host,
                  program.inserted_roundings)


def score_by_reference(imported: ImportedModel, batches: Sequence[Batch]) -> Scores:
    """By ONNX Runtime alone: nothing is compiled, so the model may be one that no accelerator holds."""
    reference, graph = ModelReference(imported), imported.graph
    names = [port.name for port in graph.model_outputs]
    found = [reference.run(batch) for batch in batches]
    return Scores(names, found, [], graph.notes, graph.notices, None, _shape_of(batches), graph.host,
                  graph.inserted_roundings)


def _shape_of(batches: Sequence[Batch]) -> tuple[int, ...] | None:
    """All batches are of one model; a call with none is none of the command's."""
    shapes = [np.shape(values) for values in batches[0].values()] if batches else []
    return shapes[0] if len(shapes) == 1 else None


def rank_outputs(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], count: int | None, labels: list[str] | None,
                 threshold: float, detection: Detection | None = None) -> list[list[Ranked]]:
    """Of each image of a batch the ``count`` best, where None is five classes or 300 boxes; ``names`` of the model's
    outputs in order.

    ``threshold``: what the confidence of a box exceeds; ``detection``: how boxes are found, None for a classifier. Raises
    ``LabelError`` for labels that do not fit, and ``DetectionError``.
    """
    if detection is not None:
        return [list(boxes) for boxes in locate(outputs, detection, threshold, count, labels)]
    return [rank(row, count or TOP_CLASSES, labels) for row in outputs[names[0]]]
