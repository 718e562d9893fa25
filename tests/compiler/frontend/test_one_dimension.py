"""[N, C, L] through every operator, and products over the last axis of [N, L, K] and [N, H, W, K]."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import Network
from qdq_network import QdqNetwork, check, operators

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model

Build = Callable[[QdqNetwork], str]
CHANNELS, LENGTH = 4, 12


def _ints(net: Network, *values: int) -> str:
    return net.constant(np.array(values, np.int64))


def _conv(net: QdqNetwork, value: str = "", made: int = CHANNELS, **attributes: Any) -> str:
    return net.node("Conv", [value or net.real, net.weight(made, CHANNELS, 3, axis=0)], **attributes)


def _normalized(net: QdqNetwork) -> str:
    """A float island: BatchNormalization and Relu."""
    random = np.random.default_rng(2)
    constants = [net.constant(random.uniform(0.5, 1.5, CHANNELS).astype(np.float32)) for _ in range(4)]
    return net.node("Relu", [net.node("BatchNormalization", [net.real, *constants])])


def _pooled_by_a_2d_pooling(net: QdqNetwork, axis: int, operator: str, **attributes: Any) -> str:
    """Unsqueeze, a 2-D pooling, Squeeze, with the length along rows or columns."""
    spread = net.node("Unsqueeze", [net.rounded(_conv(net)), _ints(net, axis)])
    window = [1, 2] if axis == 2 else [2, 1]
    pooled = net.node(operator, [spread], kernel_shape=window, strides=window, **attributes)
    return net.node("Squeeze", [pooled, _ints(net, axis)])


ONE_DIMENSION: dict[str, Build] = {
    "Conv": lambda net: _conv(net, made=6, strides=[2], pads=[1, 1], dilations=[2]),
    "Conv in groups": lambda net: net.node("Conv", [net.real, net.weight(8, 1, 3, axis=0)], group=4, pads=[2, 0]),
    "Conv padded alike": lambda net: _conv(net, auto_pad="SAME_LOWER", strides=[2]),
    "ConvTranspose": lambda net: net.node("ConvTranspose", [net.real, net.weight(CHANNELS, 3, 4)], strides=[2], pads=[1, 1]),
    "MaxPool": lambda net: net.node("MaxPool", [net.real], kernel_shape=[3], strides=[2], pads=[1, 1]),
    "AveragePool": lambda net: net.node("AveragePool", [net.real], kernel_shape=[3], strides=[2], pads=[1, 1]),
    "GlobalAveragePool": lambda net: net.node("GlobalAveragePool", [net.real]),
    "GlobalMaxPool": lambda net: net.node("GlobalMaxPool", [net.real]),
    "BatchNormalization": _normalized,
    "Add": lambda net: net.node("Add", [net.rounded(_conv(net, pads=[1, 1])), net.real]),
    "Mul": lambda net: net.node("Mul", [net.rounded(_conv(net, pads=[1, 1])), net.real]),
    "Mul by a gate": lambda net: net.node(
        "Mul", [net.real, net.rounded(net.node("Sigmoid", [net.rounded(net.node("GlobalAveragePool", [net.real]))]))]),
    "Concat": lambda net: net.node("Concat", [net.rounded(_conv(net, pads=[1, 1])), net.real], axis=1),
    "Pad": lambda net: _conv(net, net.node("Pad", [net.real, _ints(net, 0, 0, 3, 0, 0, 1)])),
    "Slice": lambda net: _conv(net, net.node("Slice", [net.real, *(_ints(net, n) for n in (2, 10, 2))])),
    "Resize": lambda net: _conv(net, net.node(
        "Resize", [net.real, "", net.constant(np.float32([1, 1, 2]))], mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric")),
    "2-D MaxPool of rows": lambda net: _pooled_by_a_2d_pooling(net, 2, "MaxPool"),
    "2-D MaxPool of columns": lambda net: _pooled_by_a_2d_pooling(net, 3, "MaxPool"),
    "2-D AveragePool of rows": lambda net: _pooled_by_a_2d_pooling(net, 2, "AveragePool"),
    "2-D AveragePool of columns": lambda net: _pooled_by_a_2d_pooling(net, 3, "AveragePool"),
    "Flatten, Gemm": lambda net: net.node(
        "Gemm", [net.node("Flatten", [net.real]), net.weight(5, CHANNELS * LENGTH)], transB=1),
}


@pytest.mark.parametrize("build", ONE_DIMENSION.values(), ids=ONE_DIMENSION)
@pytest.mark.parametrize("opset", [13, 18])
def test_one_dimension(build: Build, opset: int) -> None:
    net = QdqNetwork(opset)
    check(net.finished(build(net), CHANNELS, LENGTH))


def test_columns_become_rows_where_a_convolution_needs_them() -> None:
    """[N, C, L, 1] has another order of rows and columns than [N, C, L]."""
    net = QdqNetwork()
    conv = net.node("Conv", [net.real, net.weight(CHANNELS, CHANNELS, 3, 1)])
    squeezed = net.node("Squeeze", [net.rounded(conv), _ints(net, 3)])
    check(net.finished(_conv(net, net.rounded(squeezed)), CHANNELS, LENGTH, 1))


# ---- products over the last axis


def _sequence(net: QdqNetwork, value: str, *shape: int) -> str:
    """[N, C, H, W] as [N, H * W, C], or with H and W kept."""
    if len(shape) == 1:
        value = net.node("Reshape", [value, _ints(net, 0, *shape, -1)])
    order = [0, 2, 1] if len(shape) == 1 else [0, 2, 3, 1]
    return net.node("Transpose", [value], perm=order)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("shape", [(8,), (8, 5)])
def test_product_of_rank_3_and_4(shape: tuple[int, ...], axis: int | None, with_bias: bool) -> None:
    net = QdqNetwork()
    conv = net.rounded(net.node("Conv", [net.real, net.weight(8, 4, 3, 3)]))
    product = net.node("MatMul", [_sequence(net, conv, *shape), net.weight(8, 6, axis=axis)])
    if with_bias:
        product = net.node("Add", [product, net.constant(np.linspace(-3, 3, 6, dtype=np.float32))])
    order = [0, 2, 1] if len(shape) == 1 else [0, 3, 1, 2]
    back = net.node("Transpose", [net.rounded(product)], perm=order)
    mean = net.node("ReduceMean", [net.node("Relu", [back])], axes=list(range(2, len(order))), keepdims=0)
    imported = check(net.finished(mean, 4, 8, 6))
    assert [type(op).__name__ for op in imported.graph.ops if type(op).__name__ not in ("View", "Clamp")] == [
        "Conv", "Conv", "SumPool"]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("rank", [3, 4])
def test_integer_product_of_rank_3_and_4(rank: int, dtype: Any, per_channel: bool) -> None:
    """ONNX Runtime's QLinearMatMul in the original model equals the convolution in the lowered one."""
    random = np.random.default_rng(rank)
    net = Network()
    zero = net.constant(np.array(5, dtype))
    scales = [net.constant(np.float32(scale)) for scale in (0.5, 0.25)]
    order = [0, 2, 1] if rank == 3 else [0, 2, 3, 1]
    given = net.node("Transpose", ["x"], perm=order)
    weight = net.constant(random.integers(-128, 128, (8, 6)).astype(np.int8))
    count = (6,) if per_channel else ()
    w_scale = net.constant(random.uniform(0.001, 0.01, count).astype(np.float32))
    product = net.node(
        "QLinearMatMul",
        [given, scales[0], zero, weight, w_scale, net.constant(np.zeros(count, np.int8)), scales[1], zero])
    net.node("Transpose", [product], "y", perm=[0, 2, 1] if rank == 3 else [0, 3, 1, 2])
    shape = [8, 5] if rank == 3 else [8, 5, 3]
    imported = check(net.model({"x": (dtype, ["N", *shape])}, ["y"]), step=0)
    assert operators(imported).count("QLinearConv") == 1


def test_products_with_several_matrices_are_convolutions_of_groups() -> None:
    net = QdqNetwork()
    product = net.node("MatMul", [net.real, net.weight(2, 6, 5)])
    imported = check(net.finished(product, 2, 4, 6))
    assert operators(imported).count("QLinearConv") == 1


def test_products_with_a_vector_are_refused() -> None:
    net = QdqNetwork()
    product = net.node("Unsqueeze", [net.node("MatMul", [net.real, net.weight(6)]), _ints(net, 2)])
    with pytest.raises(UnsupportedError, match=r"use \[N, F\], \[N, L, F\] or \[N, H, W, F\] by one matrix"):
        import_model(net.finished(product, 2, 4, 6), ImportOptions(HostPolicy.NONE))
