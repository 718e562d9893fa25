"""Movements that mix channels with rows or columns: pixel shuffles, reshaped images, concatenations along rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.graph import Add, Concat, Conv, Graph, Lookup, Move, MovePixels, View

Array = NDArray[Any]
SHAPE = (8, 6, 4)


def _convolution(net: Network, x: str, channels: int, seed: int = 0, dtype: Any = np.uint8) -> str:
    """A 3x3 QLinearConv to 5 channels, so that its input is inside the network."""
    rng = np.random.default_rng(seed)
    weight = net.constant(rng.integers(-90, 90, (5, channels, 3, 3)).astype(np.int8))
    parameters = [np.float32(0.05), np.array(4, dtype)]
    tail = [net.constant(np.float32(0.002)), net.constant(np.int8(0)), net.constant(np.float32(0.06)),
            net.constant(np.array(7, dtype))]
    inputs = [x, *(net.constant(parameter) for parameter in parameters), weight, *tail]
    return net.node("QLinearConv", inputs, pads=[1, 1, 1, 1])


def _between(move: Callable[[Network, str], str], channels: int, dtype: Any = np.uint8,
             shape: tuple[int, ...] = SHAPE) -> Graph:
    """A float movement between a quantized input and a convolution, compared with ONNX Runtime at every tensor."""
    net = Network(opset=17)
    made = net.quantize(move(net, net.dequantize("x", 0.05, 4, dtype)), 0.05, 4, dtype)
    y = _convolution(net, made, channels, dtype=dtype)
    model = net.model({"x": (dtype, ["N", *shape])}, [y])
    return check(import_model(model))


def _kinds(graph: Graph) -> list[type]:
    return [type(op) for op in graph.ops]


def _shuffle(net: Network, x: str, apart: list[int], order: list[int], together: list[int]) -> str:
    opened = net.node("Reshape", [x, net.constant(np.array(apart))])
    return net.node("Reshape", [net.node("Transpose", [opened], perm=order), net.constant(np.array(together))])


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_depth_to_space_is_a_sum_of_parts(mode: str, dtype: Any) -> None:
    graph = _between(lambda net, x: net.node("DepthToSpace", [x], blocksize=2, mode=mode), 2, dtype)
    assert _kinds(graph) == [Move, Move, Add, Move, Add, Move, Add, Conv]


def test_space_to_depth_is_a_stack_of_movements() -> None:
    graph = _between(lambda net, x: net.node("SpaceToDepth", [x], blocksize=2), 32)
    assert _kinds(graph) == [Move, Move, Move, Move, Concat, Conv]


def test_pixel_shuffle_and_unshuffle_are_known_by_what_they_move() -> None:
    graph = _between(lambda net, x: _shuffle(net, x, [0, 2, 2, 2, 6, 4], [0, 1, 4, 2, 5, 3], [0, 2, 12, 8]), 2)
    assert _kinds(graph).count(Move) == 4
    graph = _between(lambda net, x: _shuffle(net, x, [0, 8, 3, 2, 2, 2], [0, 1, 3, 5, 2, 4], [0, 32, 3, 2]), 32)
    assert _kinds(graph) == [Move, Move, Move, Move, Concat, Move, Conv]


def test_shuffle_of_integers() -> None:
    net = Network(opset=17)
    y = _convolution(net, net.node("DepthToSpace", ["x"], blocksize=2), 2)
    check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, [y])))


@pytest.mark.parametrize("together", [[0, 8, 1, 24], [0, 8, 24, 1], [0, 8, 3, 8], [0, 4, 12, 4], [0, 16, 3, 4]])
def test_a_convolution_of_a_reshaped_image(together: list[int]) -> None:
    graph = _between(lambda net, x: net.node("Reshape", [x, net.constant(np.array(together))]), together[1])
    if together[1] == 8:
        assert _kinds(graph) == [View, MovePixels, Conv]


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 3, 1, 2], [0, 2, 3, 1]])
def test_channels_that_become_rows_or_columns(order: list[int]) -> None:
    _between(lambda net, x: net.node("Transpose", [x], perm=order), SHAPE[order[1] - 1])


def test_a_transpose_over_a_dimension_of_one() -> None:
    graph = _between(lambda net, x: net.node("Transpose", [x], perm=[0, 1, 3, 2]), 8, shape=(8, 6, 1))
    assert _kinds(graph) == [View, Move, Conv]


def test_a_focus_stem_of_slices() -> None:
    def focus(net: Network, x: str) -> str:
        parts = []
        for first in ((0, 0), (1, 0), (0, 1), (1, 1)):
            part = x
            for axis, start in zip((2, 3), first, strict=True):
                bounds = [net.constant(np.array([value])) for value in (start, 2**40, axis, 2)]
                part = net.node("Slice", [part, *bounds])
            parts.append(part)
        return net.node("Concat", parts, axis=1)

    assert _kinds(_between(focus, 12, shape=(3, 8, 6))) == [Move] * 4 + [Concat, Conv]


@pytest.mark.parametrize("axis", [2, 3, -1])
def test_concatenation_along_rows_or_columns(axis: int) -> None:
    net = Network(opset=17)
    first, second = net.dequantize("x", 0.05, 4), net.dequantize("z", 0.07, 9)
    made = net.quantize(net.node("Concat", [first, second, first], axis=axis), 0.05, 4)
    y = _convolution(net, made, 8)
    graph = check(import_model(net.model({name: (np.uint8, ["N", *SHAPE]) for name in "xz"}, [y])))
    assert Concat not in _kinds(graph)


def test_a_concatenation_of_one_scale_needs_no_quantizer() -> None:
    """As NNCF writes it before a convolution; also through a MaxPool, and with another reader that quantizes."""
    net = Network(opset=17)
    joined = net.node("Concat", [net.dequantize("x", 0.05, 4), net.dequantize("z", 0.05, 4)], axis=1)
    pooled = net.node("MaxPool", [joined], kernel_shape=[2, 2])
    weight = net.constant(np.random.default_rng(0).integers(-90, 90, (4, 16, 3, 3)).astype(np.int8))
    real = net.node("DequantizeLinear", [weight, net.constant(np.float32(0.01)), net.constant(np.int8(0))])
    y = net.quantize(net.node("Conv", [pooled, real]), 0.1, 100)
    z = net.quantize(net.node("Sigmoid", [joined]), 1 / 256, 0)
    graph = check(import_model(net.model({name: (np.uint8, ["N", *SHAPE]) for name in "xz"}, [y, z])))
    assert _kinds(graph).count(Concat) == 1


def test_what_takes_too_many_parts_is_refused_by_its_name() -> None:
    net = Network(opset=17)
    pooled = net.node("MaxPool", ["x"], kernel_shape=[1, 2])
    moved = net.node("Transpose", [net.dequantize(pooled, 0.05, 4)], perm=[0, 2, 1, 3])
    y = _convolution(net, net.quantize(moved, 0.05, 4), 100)
    model: onnx.ModelProto = net.model({"x": (np.uint8, ["N", 70, 100, 8])}, [y])
    with pytest.raises(UnsupportedError, match="more than 64 passes"):
        import_model(model, ImportOptions(HostPolicy.NONE))


def test_a_reshape_that_takes_too_many_parts_is_refused_with_both_shapes() -> None:
    net = Network(opset=17)
    y = _convolution(net, net.node("Reshape", ["x", net.constant(np.array([0, 81, 7, 11]))]), 81)
    model = net.model({"x": (np.uint8, ["N", 77, 9, 9])}, [y])
    with pytest.raises(UnsupportedError, match=r"of shape \[81, 7, 11\] is a reshaped \[77, 9, 9\]: it mixes channels"):
        import_model(model, ImportOptions(HostPolicy.NONE))


def test_an_activation_within_a_shuffle() -> None:
    """The table comes before the movement; the padding is the activation's result for the padded value."""
    net = Network(opset=17)
    active = net.node("HardSwish", [net.dequantize("x", 0.05, 4)])
    padded = net.node("Pad", [active, net.constant(np.array([0, 0, 1, 0, 0, 0, 1, 0]))])
    made = net.quantize(net.node("DepthToSpace", [padded], blocksize=2), 0.03, 20)
    y = _convolution(net, made, 2)
    graph = check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, [y])))
    assert _kinds(graph)[0] is Lookup
    assert _kinds(graph)[-1] is Conv
