"""Pooling with every placement of windows: ceil_mode, auto_pad, padding, strides beyond the kernel, dilation."""

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Graph

Array = NDArray[Any]
PLACES = [
    {"pads": [top, left, bottom, right]}
    for top, left, bottom, right in [(0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 0, 1), (1, 1, 1, 1)]
] + [{"auto_pad": mode} for mode in ("VALID", "SAME_UPPER", "SAME_LOWER")]


def _model(operator: str, extents: tuple[int, int], **attributes: Any) -> onnx.ModelProto:
    """The pool, then a MaxPool of one pixel on its result."""
    net = Network(opset=17)
    parameters = [net.constant(np.float32(0.1)), net.constant(np.uint8(3))]
    inputs = ["x", *parameters, *parameters] if operator.startswith("QLinear") else ["x"]
    pooled = net.node(operator, inputs, **attributes)
    net.node("MaxPool", [pooled], "y", kernel_shape=[1, 1])
    return net.model({"x": (np.uint8, ["N", 2, *extents])}, ["y"])


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("place", PLACES, ids=[str(next(iter(place.values()))) for place in PLACES])
def test_every_window(place: dict[str, Any], ceil: int) -> None:
    """Kernels of 1 to 3 and strides of 1 to 4 on images whose last window is whole, partial or omitted."""
    ran = 0
    kinds: list[dict[str, Any]] = [{}, {"dilations": [2, 2]}]
    for extents, kernel, stride in product([(5, 6), (6, 7)], (1, 2, 3), (1, 2, 3, 4)):
        if max(place.get("pads", [0])) >= kernel:
            continue
        window = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "ceil_mode": ceil, **place}
        models = [_model("MaxPool", extents, **window, **(kind if "pads" in place else {})) for kind in kinds]
        models += [_model("QLinearAveragePool", extents, **window, count_include_pad=count) for count in (0, 1)]
        for model in models:
            ran += _equal_or_refused(model)
    assert ran > 20


def _equal_or_refused(model: onnx.ModelProto) -> bool:
    try:
        imported = import_model(model)
    except UnsupportedError as error:
        assert "skip rows or columns" in str(error) or "wholly in the padding" in str(error)
        return False
    check(imported, images=1)
    return True


def _notes(count_include_pad: int, ceil: int) -> list[str]:
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": ceil, "count_include_pad": count_include_pad}
    graph: Graph = check(import_model(_model("QLinearAveragePool", (5, 7), **attributes)))
    return [note for note in graph.notes if "by the whole kernel, as ONNX Runtime's quantized kernel does" in note]


def test_the_divisor_of_a_partial_window_is_noted() -> None:
    assert len(_notes(1, 1)) == 1
    assert _notes(0, 1) == _notes(1, 0) == []
