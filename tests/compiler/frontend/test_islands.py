"""Float islands become tables and movement, equal to ONNX Runtime at every byte."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from interpreter import interpret
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Clamp, Graph, Lookup, Move, Op, View
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]
SHAPE = (6, 5, 7)


def _graph(island: Callable[[Network, str], str], dtype: Any = np.int8, shape: tuple[int, ...] = SHAPE) -> Graph:
    """The graph of an island on all bytes, compared with ONNX Runtime."""
    net = Network(opset=17)
    real = island(net, net.dequantize("x", 0.05, 4, dtype))
    net.quantize(real, 0.04, 9, np.uint8, output="y")
    graph = import_model(net.model({"x": (dtype, ["N", *shape])}, ["y"])).graph
    _compare(graph, dtype, shape)
    return graph


def _compare(graph: Graph, dtype: Any, shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    for start in range(0, 256, count):
        bytes_ = (np.arange(start, start + count) % 256).astype(np.uint8).view(dtype).reshape(1, *shape)
        expected = Reference(graph.integer_model).run({"x": bytes_})["y"]
        assert np.array_equal(interpret(graph, {"x": bytes_})["y"].ravel(), expected.ravel())


def _only(graph: Graph) -> Op:
    assert len(graph.ops) == 1
    return graph.ops[0]


SCALAR = ["Relu", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Tanh", "Elu", "Softplus", "Exp", "Erf", "Abs"]


@pytest.mark.parametrize("operator", SCALAR)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_functions_of_one_element_become_one_table(operator: str, dtype: Any) -> None:
    op = _only(_graph(lambda net, real: net.node(operator, [real]), dtype))
    assert isinstance(op, Lookup)
    assert op.table.shape == (1, 256)


def test_a_branching_function_of_one_tensor_becomes_one_table() -> None:
    def swish(net: Network, real: str) -> str:
        return net.node("Mul", [real, net.node("Sigmoid", [net.node("Mul", [real, net.constant(np.float32(1.7))])])])

    assert isinstance(_only(_graph(swish)), Lookup)


def _batch_normalization(net: Network, real: str) -> str:
    rng = np.random.default_rng(3)
    constants = [net.constant(rng.uniform(0.2, 2, 6).astype(np.float32)) for _ in range(4)]
    return net.node("Relu", [net.node("BatchNormalization", [real, *constants])])


@pytest.mark.parametrize("shape", [SHAPE, (6, 9), (6,)])
def test_batch_normalization_becomes_a_table_a_channel(shape: tuple[int, ...]) -> None:
    op = _only(_graph(_batch_normalization, shape=shape))
    assert isinstance(op, Lookup)
    assert op.table.shape == (6, 256)
    assert len({row.tobytes() for row in op.table}) == 6


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min"])
def test_a_constant_a_channel_becomes_a_table_a_channel(operator: str) -> None:
    constant = np.linspace(0.3, 2, 6, dtype=np.float32).reshape(6, 1, 1)
    op = _only(_graph(lambda net, real: net.node(operator, [real, net.constant(constant)])))
    assert isinstance(op, Lookup)
    assert op.table.shape == (6, 256)


def _crop_and_pad(net: Network, real: str) -> str:
    starts, ends, axes, steps = ([1, 1], [2**62, 2**62], [2, 3], [2, 3])
    inputs = [net.constant(np.array(values)) for values in (starts, ends, axes, steps)]
    cropped = net.node("Slice", [real, *inputs])
    amounts = net.constant(np.array([0, 2, 1, 0, 0, 3, 0, 2]))
    padded = net.node("Pad", [cropped, amounts, net.constant(np.float32(-1))])
    return net.node("LeakyRelu", [padded], alpha=0.3)


@pytest.mark.parametrize("shape", [(6, 35, 1), (6, 1, 5, 7), (6, 35)])
def test_a_constant_a_channel_after_a_view_of_the_pixels(shape: tuple[int, ...]) -> None:
    """In between, a network may reshape the pixels of its channels, as integers."""
    net = Network(opset=17)
    rounded = net.quantize(net.node("Relu", [net.dequantize("x", 0.05, 4, np.int8)]), 0.03, -10, np.int8)
    view = net.node("Reshape", [rounded, net.constant(np.array([-1, *shape]))])
    factors = net.constant(np.linspace(-1, 1, 6, dtype=np.float32).reshape(6, *[1] * (len(shape) - 1)))
    net.quantize(net.node("Mul", [net.dequantize(view, 0.03, -10, np.int8), factors]), 0.04, 9, np.uint8, output="y")
    graph = import_model(net.model({"x": (np.int8, ["N", *SHAPE])}, ["y"])).graph
    _compare(graph, np.int8, SHAPE)
    assert [op.table.shape[0] for op in graph.ops if isinstance(op, Lookup)] == [1, 6]


def test_movement_and_function_become_one_move() -> None:
    op = _only(_graph(_crop_and_pad))
    assert isinstance(op, Move)
    assert op.channels.tolist() == [-1, -1, 0, 1, 2, 3, 4, 5, -1, -1, -1]
    assert op.rows.tolist() == [-1, 1, 3, -1][: len(op.rows)]
    assert op.columns.tolist() == [1, 4, -1, -1][: len(op.columns)]
    assert op.fill == 9 + round(-0.3 / 0.04)


def test_a_shuffle_of_channels_becomes_one_move() -> None:
    def shuffle(net: Network, real: str) -> str:
        grouped = net.node("Reshape", [real, net.constant(np.array([0, 2, 3, 5, 7]))])
        swapped = net.node("Transpose", [grouped], perm=[0, 2, 1, 3, 4])
        return net.node("Reshape", [swapped, net.constant(np.array([0, 6, 5, 7]))])

    op = _only(_graph(shuffle))
    assert isinstance(op, Move)
    assert op.channels.tolist() == [0, 3, 1, 4, 2, 5]


def test_an_island_that_changes_nothing_is_a_view() -> None:
    net = Network()
    net.quantize(net.node("Flatten", [net.dequantize("x", 0.05, 4)]), 0.05, 4, output="y")
    graph = import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y"])).graph
    _compare(graph, np.uint8, SHAPE)
    assert isinstance(_only(graph), View)


def test_one_dequantizer_may_feed_several_islands_and_an_output() -> None:
    net = Network()
    real = net.dequantize("x", 0.05, 4, output="real")
    net.quantize(net.node("Tanh", [real]), 0.01, 128, output="y")
    net.quantize(net.node("Exp", [real]), 0.5, 0, output="z")
    graph = import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y", "z", "real"])).graph
    assert [type(op) for op in graph.ops] == [Lookup, Lookup]
    assert [output.tensor for output in graph.outputs] == ["y", "z", "x"]


INTEGER: list[tuple[Callable[[Network], str], type[Op]]] = [
    (lambda net: net.node("Clip", ["x", net.constant(np.int8(-5)), net.constant(np.int8(90))], "y"), Clamp),
    (lambda net: net.node("Relu", ["x"], "y"), Clamp),
    (lambda net: net.node("Min", ["x", net.constant(np.int8(11))], "y"), Clamp),
    (lambda net: net.node("Gather", ["x", net.constant(np.array([5, 0, 0]))], "y", axis=1), Move),
    (lambda net: net.node("Transpose", ["x"], "y", perm=[0, 1, 2, 3]), View),
    (lambda net: net.node("Identity", ["x"], "y"), View),
]


@pytest.mark.parametrize("index", range(len(INTEGER)))
def test_operators_on_integers(index: int) -> None:
    make, kind = INTEGER[index]
    net = Network(opset=17)
    make(net)
    graph = import_model(net.model({"x": (np.int8, ["N", *SHAPE])}, ["y"])).graph
    _compare(graph, np.int8, SHAPE)
    assert isinstance(_only(graph), kind)
