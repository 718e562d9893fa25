"""Shrinks a failing model to a small one that still fails."""

from collections.abc import Callable, Iterator

import onnx

from arrayloom.compiler.errors import SessionError

from .edit import Facts, bypass, cut_inputs, cut_outputs
from .reduce import drop_bias, plain_attributes, shrink_inputs, shrink_outputs

Edit = Callable[[Facts], Iterator[onnx.ModelProto]]

EDITS: tuple[Edit, ...] = (cut_outputs, cut_inputs, bypass, shrink_outputs, shrink_inputs, plain_attributes, drop_bias)


def shrink(model: onnx.ModelProto, fails: Callable[[onnx.ModelProto], bool], attempts: int = 600) -> onnx.ModelProto:
    """A smaller model for which ``fails`` holds as for ``model``; the model itself if none is found.

    Greedy: the first edit that still fails is kept, until none does or ``attempts`` models have been tried. ``fails`` is
    called only with models that pass the ONNX checker and run in ONNX Runtime, and should distinguish kinds of failure.
    Values that are cut off are recorded as inputs, so ``random_inputs`` returns the values that failed.
    """
    left = attempts
    smaller: onnx.ModelProto | None = model
    while smaller is not None:
        model, smaller = smaller, None
        for candidate in _candidates(model):
            if left == 0:
                return model
            left -= 1
            if _runs(candidate) and fails(candidate):
                smaller = candidate
                break
    return model


def _candidates(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    facts = Facts(model)
    for edit in EDITS:
        yield from edit(facts)


def _runs(model: onnx.ModelProto) -> bool:
    if not model.graph.node or not model.graph.input:
        return False
    try:
        onnx.checker.check_model(model)
        Facts(model)
    except (SessionError, onnx.checker.ValidationError):
        return False
    return True
