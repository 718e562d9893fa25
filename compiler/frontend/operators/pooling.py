"""Imports MaxPool, QLinearAveragePool and QLinearGlobalAveragePool."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute, pads, pair
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.quantization import scale_ratio
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import AveragePool, MaxPool, Pads, Pair, SumPool, Tensor


def max_pool(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports MaxPool on integers."""
    x = builder.image(node.input[0])
    if len(node.output) > 1 and node.output[1]:
        remedy = "use only the maxima: the accelerator has no unpooling"
        raise RefusalError("the indices of its maxima are used", remedy, f"'{node.output[1]}'")
    kernel, strides, dilations = _kernel(node, x), pair(node, "strides"), pair(node, "dilations")
    y = builder.declare(node.output[0])
    span = ((kernel[0] - 1) * dilations[0] + 1, (kernel[1] - 1) * dilations[1] + 1)
    padding = pads(node, x.shape[1:], y.shape[1:], span, strides)
    _check_windows((x, y), kernel, strides, padding, dilations)
    builder.add(MaxPool, node, x=x.name, kernel=kernel, strides=strides, pads=padding, dilations=dilations)


def average_pool(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearAveragePool; over the whole image without padding, ONNX Runtime uses the formula of the global one."""
    _check_layout(node)
    x = builder.image(node.input[0])
    kernel, strides = _kernel(node, x), pair(node, "strides")
    y = builder.declare(node.output[0])
    padding = pads(node, x.shape[1:], y.shape[1:], kernel, strides)
    _note_partial_window(builder, node, (x, y), (kernel, strides, padding))
    if kernel == x.shape[1:] and padding == (0, 0, 0, 0):
        _add_mean(builder, node, x)
        return
    _check_windows((x, y), kernel, strides, padding, (1, 1))
    given, made = builder.quantization(node, 1, x.name), builder.quantization(node, 3, y.name)
    scale_ratio(given, made)    # refuses quotients that overflow
    builder.add(
        AveragePool,
        node,
        x=x.name,
        kernel=kernel,
        strides=strides,
        pads=padding,
        count_include_pad=bool(attribute(node, "count_include_pad", 0)),
        x_scale=given.scale,
        x_zero=given.zero_point,
        y_scale=made.scale,
        y_zero=made.zero_point,
    )


def global_average_pool(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearGlobalAveragePool."""
    _check_layout(node)
    builder.declare(node.output[0])
    _add_mean(builder, node, builder.planes(node.input[0]))


def _add_mean(builder: Builder, node: onnx.NodeProto, x: Tensor) -> None:
    given = builder.quantization(node, 1, x.name)
    made = builder.quantization(node, 3, node.output[0])
    scale = given.scale / (made.scale * np.float32(x.shape[1] * x.shape[2]))
    builder.add(SumPool, node, x=x.name, scale=scale, x_zero=given.zero_point, y_zero=made.zero_point)


def _note_partial_window(builder: Builder, node: onnx.NodeProto, tensors: tuple[Tensor, Tensor],
                         window: tuple[Pair, Pair, Pads]) -> None:
    """Adds a note if ceil_mode places the last window beyond the padding, since ONNX Runtime's two kernels differ there."""
    x, y = tensors
    kernel, strides, padding = window
    beyond = [
        (y.shape[1 + axis] - 1) * strides[axis] + kernel[axis] > x.shape[1 + axis] + padding[axis] + padding[axis + 2]
        for axis in (0, 1)
    ]
    if any(beyond) and attribute(node, "count_include_pad", 0):
        builder.report.notes.append(
            f"'{origin_name(node)}' divides a last window that reaches beyond its padding by the whole kernel, as ONNX "
            "Runtime's quantized kernel does; its float kernel divides by what lies within the padding"
        )


def _kernel(node: onnx.NodeProto, x: Tensor) -> Pair:
    if len(x.onnx_shape) not in (2, 3):
        raise RefusalError(f"{len(x.onnx_shape) - 1} spatial dimensions", "use 1-D or 2-D pooling")
    return pair(node, "kernel_shape")


def _check_layout(node: onnx.NodeProto) -> None:
    if attribute(node, "channels_last", 0):
        raise RefusalError("its layout has the channels last", "use [N, C, H, W]", "channels_last = 1")


def _check_windows(tensors: tuple[Tensor, Tensor], kernel: Pair, strides: Pair, padding: Pads, dilations: Pair) -> None:
    """Refuses windows without an element of the image, for which results differ between versions of ONNX Runtime."""
    x, y = tensors
    for axis in (0, 1):
        start = np.arange(y.shape[1 + axis]) * strides[axis] - padding[axis]
        taps = start[:, np.newaxis] + np.arange(kernel[axis]) * dilations[axis]
        if not np.all(np.any((taps >= 0) & (taps < x.shape[1 + axis]), axis=1)):
            raise RefusalError("a window lies wholly in the padding", "use less padding", f"pads = {list(padding)}")
