"""Lowering of QDQ to QOperator, pattern by pattern; random QDQ networks are in test_random."""

from typing import Any

import numpy as np
import pytest
from exact_graph import equal_values
from interpreter import interpret
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Clamp, Conv, Graph
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]
X_SCALE, W_SCALE, Y_SCALE = 0.5, 0.125, 0.25


class Qdq(Network):
    """x -> DequantizeLinear -> ... -> QuantizeLinear -> y, on uint8 [N, 4, 6, 6] by default."""

    def __init__(self, opset: int = 13) -> None:
        super().__init__(opset)
        self.real = self.dequantize("x", X_SCALE, 3)

    def weight(self, *shape: int, per_channel: int | None = None) -> str:
        """A dequantized int8 weight."""
        values = np.random.default_rng(5).integers(-128, 128, shape).astype(np.int8)
        count = () if per_channel is None else (shape[per_channel],)
        scale = self.constant(np.full(count, W_SCALE, np.float32))
        zero_point = self.constant(np.zeros(count, np.int8))
        axis = {} if per_channel is None else {"axis": per_channel}
        return self.node("DequantizeLinear", [self.constant(values), scale, zero_point], **axis)

    def bias(self, values: Any, scale: float = X_SCALE * W_SCALE) -> str:
        """A dequantized int32 bias."""
        return self.node(
            "DequantizeLinear", [self.constant(np.array(values, np.int32)), self.constant(np.float32(scale))]
        )

    def graph(self, real: str, zero_point: int = 7, shape: tuple[int, ...] = (4, 6, 6)) -> Graph:
        """The imported network, compared with ONNX Runtime on its lowered form."""
        self.quantize(real, Y_SCALE, zero_point, output="y")
        graph = import_model(self.model({"x": (np.uint8, ["N", *shape])}, ["y"])).graph
        image = {"x": np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.uint8)}
        equal_values(graph, image)
        return graph


def _operators(graph: Graph) -> list[str]:
    return [node.op_type for node in graph.integer_model.graph.node]


def test_conv_with_relu_becomes_conv_and_clip() -> None:
    net = Qdq()
    conv = net.node("Conv", [net.real, net.weight(8, 4, 3, 3, per_channel=0), net.bias(range(8))], strides=[2, 2])
    graph = net.graph(net.node("Relu", [conv]))
    assert _operators(graph) == ["QLinearConv", "Clip"]
    conv_op, clamp = graph.ops
    assert isinstance(conv_op, Conv)
    assert isinstance(clamp, Clamp)
    assert conv_op.bias.tolist() == list(range(8))
    assert (clamp.lo, clamp.hi) == (7, 255)


def test_relu_vanishes_where_the_zero_point_is_the_lowest_value() -> None:
    net = Qdq()
    conv = net.node("Conv", [net.real, net.weight(8, 4, 1, 1)])
    assert _operators(net.graph(net.node("Relu", [conv]), zero_point=0)) == ["QLinearConv"]


def test_relu6_clamps_to_the_quantized_six() -> None:
    net = Qdq()
    conv = net.node("Conv", [net.real, net.weight(8, 4, 1, 1)])
    bounds = [net.constant(np.float32(bound)) for bound in (0, 6)]
    graph = net.graph(net.node("Clip", [conv, *bounds]))
    assert isinstance(graph.ops[-1], Clamp)
    assert (graph.ops[-1].lo, graph.ops[-1].hi) == (7, 7 + 6 / Y_SCALE)


def test_float_bias_is_quantized_and_noted() -> None:
    net = Qdq()
    bias = net.constant(np.float32([1.0, -2.0, 0.03]), name="offset")
    graph = net.graph(net.node("Conv", [net.real, net.weight(3, 4, 1, 1), bias], "real"))
    assert isinstance(graph.ops[0], Conv)
    assert graph.ops[0].bias.tolist() == [16, -32, 0]
    assert graph.notes == ["the float bias 'offset' of 'Conv_real' is quantized to int32 here"]


def test_gemm_becomes_qgemm_with_its_bias() -> None:
    net = Qdq()
    flat = net.node("Flatten", [net.real])
    gemm = net.node("Gemm", [flat, net.weight(5, 144, per_channel=0), net.bias(range(5))], transB=1)
    graph = net.graph(gemm)
    assert _operators(graph) == ["Flatten", "QGemm"]


def test_matmul_and_add_become_qgemm() -> None:
    net = Qdq()
    product = net.node("MatMul", [net.real, net.weight(6, 5, per_channel=1)])
    graph = net.graph(net.node("Add", [net.bias([1, 2, 3, 4, 5]), product]), shape=(6,))
    assert _operators(graph) == ["QGemm"]
    assert isinstance(graph.ops[0], Conv)
    assert graph.ops[0].bias.tolist() == [1, 2, 3, 4, 5]


def test_transposed_weight_of_a_matmul_is_transposed_here() -> None:
    net = Qdq()
    weight = net.node("Transpose", [net.weight(5, 6, per_channel=0)], perm=[1, 0])
    graph = net.graph(net.node("MatMul", [net.real, weight]), shape=(6,))
    assert _operators(graph) == ["QLinearMatMul"]


def test_max_pool_moves_before_the_dequantizer() -> None:
    net = Qdq()
    pool = net.node("MaxPool", [net.real], kernel_shape=[2, 2])
    graph = net.graph(net.node("Sigmoid", [pool]))
    assert _operators(graph) == ["MaxPool", "DequantizeLinear", "Sigmoid", "QuantizeLinear"]
    assert [type(op).__name__ for op in graph.ops] == ["MaxPool", "Lookup"]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [13, 18])
def test_mean_over_the_image_becomes_global_average_pool(opset: int, keepdims: int) -> None:
    net = Qdq(opset)
    if opset < 18:
        mean = net.node("ReduceMean", [net.real], axes=[2, -1], keepdims=keepdims)
    else:
        mean = net.node("ReduceMean", [net.real, net.constant(np.array([-2, 3]))], keepdims=keepdims)
    graph = net.graph(mean)
    assert _operators(graph) == ["QLinearGlobalAveragePool"] + ["Flatten"] * (1 - keepdims)
    assert graph.tensors["y"].onnx_shape == ((4, 1, 1) if keepdims else (4,))


def test_movement_between_dequantizer_and_operator_moves_integers() -> None:
    net = Qdq()
    amounts = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    padded = net.node("Pad", [net.real, amounts, net.constant(np.float32(1.5))])
    graph = net.graph(net.node("Conv", [padded, net.weight(3, 4, 3, 3)]))
    assert _operators(graph) == ["Pad", "QLinearConv"]
    assert getattr(graph.ops[0], "fill", None) == 3 + 1.5 / X_SCALE


def test_one_result_quantized_twice_is_computed_for_each() -> None:
    net = Qdq()
    conv = net.node("Conv", [net.real, net.weight(3, 4, 1, 1)])
    net.quantize(conv, 1.0, 1, output="coarse")
    net.quantize(conv, 0.25, 2, output="fine")
    graph = import_model(net.model({"x": (np.uint8, ["N", 4, 6, 6])}, ["coarse", "fine"])).graph
    assert [(op.output, getattr(op, "y_zero", None)) for op in graph.ops] == [("coarse", 1), ("fine", 2)]


@pytest.mark.parametrize("between", [[], ["Identity"], ["Dropout", "Identity"]])
def test_requantization_is_left_no_pairs_to_merge(between: list[str]) -> None:
    net = Network()
    first = net.dequantize(net.quantize("image", 0.3, 128, output="a"), 0.3, 128)
    for operator in between:
        first = net.node(operator, [first])
    net.dequantize(net.quantize(first, 0.17, 9, output="b"), 0.17, 9, output="out")
    graph = import_model(net.model({"image": (np.float32, ["N", 3, 5, 5])}, ["out"])).graph
    assert _operators(graph) == ["QuantizeLinear", "QLinearConcat", "DequantizeLinear"]
    image = {"image": np.random.default_rng(0).normal(0, 20, (1, 3, 5, 5)).astype(np.float32)}
    expected = Reference(graph.integer_model).run(image)["out"]
    real = (interpret(graph, image)["b"].astype(np.float32) - np.float32(9)) * np.float32(0.17)
    assert np.array_equal(expected[0], real)
