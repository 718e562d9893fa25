"""Means in every form that exporters write, and movement between a float result and its QuantizeLinear."""

from typing import Any

import numpy as np
import pytest
from qdq_network import QdqNetwork, check, operators

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.graph import AveragePool, Clamp, SumPool, View


def _mean(net: QdqNetwork, value: str, axes: list[int], as_input: bool = False, **attributes: Any) -> str:
    if as_input:
        return net.node("ReduceMean", [value, net.constant(np.array(axes))], **attributes)
    return net.node("ReduceMean", [value], axes=axes, **attributes)


def _ints(net: QdqNetwork, *values: int) -> str:
    return net.constant(np.array(values, np.int64))


CHAINS = {
    "reshape": [("Reshape", (0, 4))],
    "reshape with -1": [("Reshape", (-1, 4))],
    "squeeze": [("Squeeze", (2, 3))],
    "squeeze, reshape": [("Squeeze", (-1,)), ("Reshape", (0, -1))],
    "flatten": [("Flatten", None)],
    "flatten, unsqueeze, identity, squeeze": [
        ("Flatten", None), ("Unsqueeze", (2,)), ("Identity", None), ("Squeeze", (2,)),
    ],
    "dropout": [("Dropout", None), ("Flatten", None)],
    "transpose that moves nothing": [("Transpose", None), ("Squeeze", (1, 2))],
}


@pytest.mark.parametrize("operator", ["ReduceMean", "GlobalAveragePool"])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_movement_after_a_mean(chain: list[tuple[str, Any]], operator: str) -> None:
    net = QdqNetwork()
    value = _mean(net, net.real, [2, 3]) if operator == "ReduceMean" else net.node("GlobalAveragePool", [net.real])
    for step, numbers in chain:
        attributes = {"perm": [0, 2, 3, 1]} if step == "Transpose" else {}
        value = net.node(step, [value, *([] if numbers is None else [_ints(net, *numbers)])], **attributes)
    dense = net.node("Gemm", [net.rounded(value), net.weight(5, 4, axis=0)], transB=1)
    imported = check(net.finished(dense, 4, 6, 6))
    assert operators(imported)[0] == "QLinearGlobalAveragePool"
    assert operators(imported)[-1] == "QGemm"


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [3, 2], [-2, 3]])
@pytest.mark.parametrize("opset", [13, 18])
def test_axes_of_an_image(opset: int, axes: list[int], keepdims: int) -> None:
    net = QdqNetwork(opset)
    imported = check(net.finished(_mean(net, net.real, axes, opset > 13, keepdims=keepdims), 4, 6, 5))
    assert isinstance(imported.graph.ops[0], SumPool)
    assert imported.graph.tensors["y"].onnx_shape == ((4, 1, 1) if keepdims else (4,))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 9), [2]), ((4, 9), [-1]), ((4, 1, 9), [3]), ((4, 1, 9), [2, 3]), ((4, 9, 1), [2]), ((1, 5, 6), [1, 2, 3])],
)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_mean_along_one_axis(shape: tuple[int, ...], axes: list[int], keepdims: int) -> None:
    net = QdqNetwork()
    imported = check(net.finished(_mean(net, net.real, axes, keepdims=keepdims), *shape))
    assert any(isinstance(op, SumPool) for op in imported.graph.ops)


@pytest.mark.parametrize("axis", [2, 3])
def test_mean_of_rows_or_columns_is_an_average_pooling(axis: int) -> None:
    net = QdqNetwork()
    imported = check(net.finished(_mean(net, net.real, [axis], keepdims=0), 3, 6, 5))
    assert isinstance(imported.graph.ops[0], AveragePool)
    assert imported.graph.tensors["y"].onnx_shape == ((3, 5) if axis == 2 else (3, 6))


@pytest.mark.parametrize("keepdims", [0, 1])
def test_mean_of_an_image_with_the_channels_last(keepdims: int) -> None:
    net = QdqNetwork()
    real = net.rounded(net.node("Conv", [net.real, net.weight(8, 4, 3, 3)]))
    last = net.rounded(net.node("Transpose", [real], perm=[0, 2, 3, 1]))
    imported = check(net.finished(_mean(net, last, [1, 2], keepdims=keepdims), 4, 6, 5))
    assert [type(op).__name__ for op in imported.graph.ops if not isinstance(op, View)] == ["Conv", "SumPool"]


def test_mean_over_no_axes_does_nothing() -> None:
    net = QdqNetwork(18)
    mean = net.node("ReduceMean", [net.real], noop_with_empty_axes=1)
    check(net.finished(net.node("Conv", [mean, net.weight(3, 4, 1, 1)]), 4, 6, 6))


def test_mean_over_axes_of_extent_1_is_a_reshape() -> None:
    net = QdqNetwork()
    mean = _mean(net, net.real, [2, 3], keepdims=0)
    check(net.finished(net.node("Gemm", [mean, net.weight(5, 4)], transB=1), 4, 1, 1))


def test_means_over_the_batch_are_refused() -> None:
    net = QdqNetwork()
    model = net.finished(_mean(net, net.real, [0, 2, 3], keepdims=1), 4, 6, 6, batch=1)
    with pytest.raises(UnsupportedError, match=r"ReduceMean 'ReduceMean_.*it reduces the batch"):
        import_model(model, ImportOptions(HostPolicy.NONE))


# ---- bounds on dequantized values


@pytest.mark.parametrize(("lo", "hi", "clamp"), [
    (0.0, 6.0, (3, 15)),      # steps of 0.5 from a zero point of 3
    (-1.5, 200.0, None),      # beyond both ends: no effect
    (0.0, 200.0, (3, 255)),
    (None, 6.0, (0, 15)),
    (0.0, None, (3, 255)),
])
def test_clip_of_dequantized_values(lo: float | None, hi: float | None, clamp: tuple[int, int] | None) -> None:
    net = QdqNetwork()
    bounds = ["" if bound is None else net.constant(np.float32(bound)) for bound in (lo, hi)]
    clipped = net.node("Clip", [net.real, *bounds])
    imported = check(net.finished(_mean(net, clipped, [2, 3]), 4, 6, 6))
    assert [(op.lo, op.hi) for op in imported.graph.ops if isinstance(op, Clamp)] == ([] if clamp is None else [clamp])


def test_relu_of_dequantized_values_before_a_convolution() -> None:
    net = QdqNetwork()
    relu = net.node("Relu", [net.real])
    imported = check(net.finished(net.node("Conv", [relu, net.weight(3, 4, 3, 3, axis=0)]), 4, 6, 6))
    assert operators(imported) == ["Clip", "QLinearConv"]


def test_clip_between_two_steps_is_refused() -> None:
    net = QdqNetwork()
    clipped = net.node("Clip", [net.real, net.constant(np.float32(0)), net.constant(np.float32(6.2))], "bounded")
    model = net.finished(_mean(net, clipped, [2, 3]), 4, 6, 6)
    with pytest.raises(UnsupportedError, match=r"by Clip 'Clip_bounded' at 6.19999981, which lies between two steps"):
        import_model(model, ImportOptions(HostPolicy.NONE))


# ---- movement between a float result and its QuantizeLinear


MOVED = {
    "reshape": lambda net, v: net.node("Reshape", [v, _ints(net, 0, 8, 20)]),
    "transpose": lambda net, v: net.node("Transpose", [v], perm=[0, 1, 3, 2]),
    "slice": lambda net, v: net.node("Slice", [v, *(_ints(net, number) for number in (1, 3, 2))]),
    "pad by what lies between two steps": lambda net, v: net.node(
        "Pad", [v, _ints(net, 0, 0, 1, 1, 0, 0, 1, 1), net.constant(np.float32(0.3))]),
    "relu, slice, relu": lambda net, v: net.node("Relu", [net.node(
        "Slice", [net.node("Relu", [v]), *(_ints(net, number) for number in (0, 3, 1))])]),
    "pad, clip": lambda net, v: net.node("Clip", [net.node(
        "Pad", [v, _ints(net, 0, 0, 0, 1, 0, 0, 0, 1), net.constant(np.float32(9.0))]), "", net.constant(np.float32(6.0))]),
}
RESULTS = {
    "Conv": lambda net: net.node("Conv", [net.real, net.weight(8, 4, 3, 3, axis=0)], pads=[1, 1, 1, 1]),
    "Add": lambda net: net.node("Add", [net.rounded(_wide(net)), net.rounded(_wide(net))]),
    "Concat": lambda net: net.node("Concat", [net.real, net.rounded(net.node("Relu", [net.real]))], axis=1),
    "MaxPool": lambda net: net.node("MaxPool", [_wide(net)], kernel_shape=[1, 1]),
    "AveragePool": lambda net: net.node("AveragePool", [net.rounded(_wide(net))], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
}


def _wide(net: QdqNetwork) -> str:
    return net.rounded(net.node("Conv", [net.real, net.weight(8, 4, 1, 1)]))


@pytest.mark.parametrize("move", MOVED.values(), ids=MOVED)
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_movement_after_an_operator(result: Any, move: Any) -> None:
    net = QdqNetwork()
    check(net.finished(move(net, result(net)), 4, 5, 4))


def test_ways_that_quantize_alike_share_the_operator() -> None:
    net = QdqNetwork()
    conv = net.node("Conv", [net.real, net.weight(8, 4, 3, 3)])
    relu = net.node("Relu", [conv])
    halves = [net.node("Slice", [relu, *(_ints(net, number) for number in numbers)]) for numbers in ((0, 4, 1), (4, 8, 1))]
    names = [net.quantize(half, 0.25, 7) for half in halves]
    names += [net.quantize(halves[0], 0.25, 7), net.quantize(relu, 0.125, 7)]
    imported = check(net.model({"x": (np.uint8, ["N", 4, 6, 6])}, names))
    assert operators(imported).count("QLinearConv") == 2   # one per scale
    assert operators(imported).count("Slice") == 2
