"""Imports QLinearConv, QLinearMatMul and QGemm as convolutions."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attention import is_product
from arrayloom.compiler.frontend.attributes import attribute, pads, pair
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.operators.attention import product
from arrayloom.compiler.frontend.quantization import Quantization, Weight, weight
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.graph import Conv


def conv(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearConv, 1-D or 2-D; with a kernel of 1 the positions may be in any arrangement."""
    found = weight(builder.model, (node.input[3], node.input[4], node.input[5]))
    if found.values.ndim not in (3, 4):
        raise RefusalError(f"{found.values.ndim - 2} spatial dimensions", "use 1-D or 2-D convolution")
    values = _shifted(found, channel_axis=0)
    values = values if values.ndim == 4 else values[:, :, np.newaxis, :]
    strides, dilations = pair(node, "strides"), pair(node, "dilations")
    span = ((values.shape[2] - 1) * dilations[0] + 1, (values.shape[3] - 1) * dilations[1] + 1)
    pointwise = values.shape[2:] == strides == (1, 1) and not any(attribute(node, "pads", []))
    x = builder.planes(node.input[0]) if pointwise else builder.image(node.input[0])
    y = builder.declare(node.output[0], (values.shape[0], *x.shape[1:]) if pointwise else None)
    quantization = builder.quantization(node, 1, x.name), builder.quantization(node, 6, y.name)
    builder.add(
        Conv,
        node,
        x=x.name,
        weight=values,
        bias=_bias(builder, node, 8, values.shape[0]),
        **_constants(quantization, found, np.float32(1), values.shape[0]),
        strides=strides,
        pads=pads(node, x.shape[1:], y.shape[1:], span, strides),
        dilations=dilations,
        group=int(attribute(node, "group", 1)),
    )


def matmul(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearMatMul of [N, K] by a constant [K, M], or of two activations."""
    if builder.report.attention and is_product(builder.model, node):
        product(builder, node)
        return
    found = weight(builder.model, (node.input[3], node.input[4], node.input[5]))
    quantization = builder.quantization(node, 1, node.input[0]), builder.quantization(node, 6, node.output[0])
    values = _shifted(found, channel_axis=1).T if found.values.ndim == 2 else found.values
    _product(builder, node, (values, np.zeros(values.shape[0], np.int32)), found, quantization, np.float32(1))


def gemm(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QGemm of [N, K] by a constant [K, M], or [M, K] with transB."""
    if attribute(node, "transA", 0):
        raise RefusalError("its first operand is transposed, which would mix images", "use transA = 0", "transA = 1")
    transposed = bool(attribute(node, "transB", 0))
    found = weight(builder.model, (node.input[3], node.input[4], node.input[5]))
    values = _shifted(found, channel_axis=0 if transposed else 1)
    values = values if transposed else values.T
    if len(node.input) < 8 or not node.input[7]:
        raise RefusalError("its result stays in float", "give y_scale and y_zero_point, so that it is quantized")
    quantization = builder.quantization(node, 1, node.input[0]), builder.quantization(node, 7, node.output[0])
    bias = _bias(builder, node, 6, values.shape[0])
    _product(builder, node, (values, bias), found, quantization, np.float32(attribute(node, "alpha", 1.0)))


def _product(
    builder: Builder,
    node: onnx.NodeProto,
    operands: tuple[Array, NDArray[np.int32]],
    found: Weight,
    quantization: tuple[Quantization, Quantization],
    alpha: np.float32,
) -> None:
    """Adds a product over all elements [C, H, W] as a convolution whose kernel covers the image."""
    x = builder.tensor(node.input[0])
    values, bias = operands
    if len(x.onnx_shape) != 1 or values.ndim != 2:
        raise RefusalError("a product of tensors of rank 3 and more", "use rank 2, [N, F]", f"input '{x.name}'")
    builder.declare(node.output[0])
    builder.add(
        Conv,
        node,
        x=x.name,
        weight=np.ascontiguousarray(values).reshape(values.shape[0], *x.shape),
        bias=bias,
        **_constants(quantization, found, alpha, values.shape[0]),
    )


def _shifted(found: Weight, channel_axis: int) -> NDArray[np.int16]:
    """Returns the weights minus their zero points."""
    zero_point = found.zero_point.astype(np.int16)
    if zero_point.ndim:
        zero_point = zero_point.reshape([-1 if axis == channel_axis else 1 for axis in range(found.values.ndim)])
    return found.values.astype(np.int16) - zero_point


def _constants(
    quantization: tuple[Quantization, Quantization], found: Weight, alpha: np.float32, channels: int
) -> dict[str, Any]:
    """Returns scale = fl(fl(fl(alpha * x_scale) * w_scale) / y_scale) for each channel, and the zero points."""
    x, y = quantization
    scale = (alpha * x.scale * found.scale / y.scale).astype(np.float32)
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise RefusalError(
            "x_scale * w_scale / y_scale leaves the range of float32", "calibrate again", f"{scale.min()}"
        )
    return {"scale": np.broadcast_to(scale, (channels,)).copy(), "x_zero": x.zero_point, "y_zero": y.zero_point}


def _bias(builder: Builder, node: onnx.NodeProto, index: int, channels: int) -> NDArray[np.int32]:
    if len(node.input) <= index or not node.input[index]:
        return np.zeros(channels, np.int32)
    if not builder.model.is_constant(node.input[index]):
        raise RefusalError("its bias is not constant", "use a constant bias", f"'{node.input[index]}'")
    bias = builder.model.constants[node.input[index]].reshape(-1)
    if bias.dtype != np.int32 or bias.size not in (1, channels):
        raise RefusalError(
            f"its bias is {bias.dtype}{list(bias.shape)}", f"use int32[{channels}]", f"'{node.input[index]}'"
        )
    return np.broadcast_to(bias, (channels,)).copy()
