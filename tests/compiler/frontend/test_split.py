"""Split in every operator set and form, in QDQ and on integers: each used output is a separate movement."""

from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Graph, Move

Array = NDArray[Any]
SHAPE = (7, 6, 5)


def _split(net: Network, x: str, outputs: list[str], sizes: list[int] | None, axis: int) -> None:
    inputs, attributes = [x], {"axis": axis}
    if sizes and net.opset < 13:
        attributes["split"] = sizes
    elif sizes:
        inputs.append(net.constant(np.array(sizes)))
    elif net.opset >= 18:
        attributes["num_outputs"] = len(outputs)
    net.nodes.append(onnx.helper.make_node("Split", inputs, outputs, "split", **attributes))


def _qdq(opset: int, outputs: list[str], sizes: list[int] | None, axis: int, scales: dict[str, float],
         read: str = "abc") -> Graph:
    """Each used output is quantized by its own scale or the input's, then pooled."""
    net = Network(opset=opset)
    _split(net, net.dequantize("x", 0.05, 4), outputs, sizes, axis)
    ends = []
    for name in filter(read.__contains__, outputs):
        made = net.quantize(name, scales.get(name, 0.05), 4)
        ends.append(net.node("MaxPool", [made], kernel_shape=[1, 2]))
    return check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ends)))


@pytest.mark.parametrize(("opset", "sizes", "axis"), [
    (12, [3, 4], 1), (12, None, 2), (13, [2, 5], 1), (13, None, -2), (13, [2, 3], -1), (18, [5, 2], 1), (18, None, 2),
    (18, None, 1), (18, None, 3)])
def test_every_operator_set_and_axis(opset: int, sizes: list[int] | None, axis: int) -> None:
    graph = _qdq(opset, ["a", "b"], sizes, axis, {"b": 0.07})
    assert sum(isinstance(op, Move) for op in graph.ops) == 2


def test_the_last_of_uneven_parts_is_smaller() -> None:
    graph = _qdq(18, ["a", "b", "c"], None, 1, {})
    assert [graph.tensors[op.output].shape[0] for op in graph.ops if isinstance(op, Move)] == [3, 3, 1]


def test_outputs_that_nothing_reads() -> None:
    graph = _qdq(13, ["a", "b", "c"], [1, 2, 4], 1, {}, read="ac")
    assert [op.channels.tolist() for op in graph.ops if isinstance(op, Move)] == [[0], [3, 4, 5, 6]]


def test_without_quantizer_after_it() -> None:
    """The parts go to a float concatenation, one of them through an activation."""
    net = Network(opset=13)
    _split(net, net.dequantize("x", 0.05, 4), ["a", "b"], [3, 4], 1)
    net.quantize(net.node("Concat", ["b", "a"], axis=1), 0.05, 4, output="y")
    net.quantize(net.node("Sigmoid", ["b"]), 1 / 256, 0, output="z")
    check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y", "z"])))


def test_split_of_integers() -> None:
    net = Network(opset=13)
    _split(net, "x", ["a", "b"], [3, 4], 1)
    ends = [net.node("MaxPool", [name], kernel_shape=[2, 2]) for name in ("a", "b")]
    check(import_model(net.model({"x": (np.int8, ["N", *SHAPE])}, ends)))


@pytest.mark.data
def test_a_network_of_onnxruntimes_quantizer(shared_data: Any) -> None:
    path = shared_data / "exported" / "int8" / "ort_A_min_chunk_qdq_u8s8_pc.onnx"
    check(import_model(path), images=1)
