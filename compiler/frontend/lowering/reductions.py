"""Lowers sums over the channels to convolutions with ones, ReduceMax and ReduceMin to MaxPool and maxima of halves."""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.exact import extreme, negative
from arrayloom.compiler.frontend.lowering.pooling import check_max_pool_opset
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import RefusalError, node_name

_IMAGE_AXES = {2: (1,), 3: (1, 3), 4: (1, 2, 3)}  # axes of [N, C, H, W] that [N, F], [N, C, L], [N, C, H, W] use


def reduced_axes(model: Model, node: onnx.NodeProto) -> list[int]:
    """Returns the axes that a node reduces, sorted and not negative.

    Without given axes a node reduces all axes, or none if `noop_with_empty_axes` is set. The axes are an input instead of an
    attribute since operator set 13 (ReduceSum) and 18 (others).

    Raises
    ------
    RefusalError
        The axes are computed at run time, or include the batch.
    """
    rank = len(model.shapes[node.input[0]])
    if len(node.input) > 1 and node.input[1] and not model.is_constant(node.input[1]):
        raise RefusalError("its axes are computed at run time", "use constant axes", f"'{node.input[1]}'")
    given = model.constant(node, 1)
    axes: Sequence[int] = attribute(node, "axes", []) if given is None else given.reshape(-1).tolist()
    if not len(axes) and attribute(node, "noop_with_empty_axes", 0):
        return []
    found = sorted({axis % rank for axis in axes} if len(axes) else range(rank))
    if 0 in found:
        raise RefusalError("it reduces the batch, which would mix images", "leave axis 0 out", f"axes = {found}")
    return found


def lower_channel_sum(rewrite: Rewrite, node: onnx.NodeProto, axes: Sequence[int]) -> None:
    """Lowers DequantizeLinear, ReduceSum or ReduceMean over C and possibly H and W, QuantizeLinear to a QLinearConv.

    The weights of the convolution are ones, so that its sum is exact.
    """
    model = rewrite.model
    x = rewrite.source(node.input[0])
    image = _as_image(rewrite, node, x.name)
    shape, reduced = _image_shape(model, node), _image_axes(model, node, axes)
    kernel = [shape[axis] if axis in reduced else 1 for axis in (2, 3)]
    count = np.float32(shape[1] * kernel[0] * kernel[1])
    scale = np.float32(1) / count if node.op_type == "ReduceMean" else np.float32(1)
    weight = rewrite.constant(f"{node_name(node)}_ones", np.ones((1, shape[1], *kernel), np.int8))
    weight_scale = rewrite.constant(f"{node_name(node)}_ones_scale", np.array(scale))
    weight_zero = rewrite.constant(f"{node_name(node)}_ones_zero_point", np.array(0, np.int8))
    for target in find_targets(rewrite, node.output[0]):
        check_dtypes([x.quantization], target)
        total = rewrite.fresh(f"{target.name}_sum")
        inputs = [image, *rewrite.parameters(image, x.quantization), weight, weight_scale, weight_zero]
        inputs += rewrite.parameters(target.name, target.quantization)
        rewrite.emit("QLinearConv", quant_name(node), inputs, total)
        _reshape(rewrite, node, total, model.shapes[node.output[0]], clamped(rewrite, target))


def lower_reduce_extreme(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, ReduceMax to MaxPool over H and W, maxima of halves of the channels, DequantizeLinear.

    A ReduceMin is the negative of the ReduceMax of the negative.
    """
    model = rewrite.model
    check_max_pool_opset(rewrite)
    axes, x = reduced_axes(model, node), rewrite.source(node.input[0])
    given = negative(rewrite, x) if node.op_type == "ReduceMin" else x
    value, shape = _as_image(rewrite, node, given.name), _image_shape(model, node)
    reduced = _image_axes(model, node, axes)
    kernel = [shape[axis] if axis in reduced else 1 for axis in (2, 3)]
    if max(kernel) > 1:
        pooled = rewrite.fresh(f"{node.output[0]}_pooled")
        rewrite.emit("MaxPool", quant_name(node), [value], pooled, kernel_shape=kernel)
        value = pooled
    if 1 in reduced:
        value = _largest_channel(rewrite, node, value, shape[1])
    output = rewrite.fresh(f"{node.output[0]}_quantized")
    _reshape(rewrite, node, value, model.shapes[node.output[0]], output)
    found = Source(output, given.quantization)
    rewrite.set_source(node.output[0], negative(rewrite, found) if node.op_type == "ReduceMin" else found)


def _largest_channel(rewrite: Rewrite, node: onnx.NodeProto, value: str, channels: int) -> str:
    """Emits the maximum over the channels, [N, 1, H, W], by repeated Max of the two halves of the channels.

    The halves of an odd number of channels share the middle one.
    """
    while channels > 1:
        half = -(-channels // 2)
        parts = [
            rewrite.through(node, "Slice", value, *(np.array([bound]) for bound in (first, first + half, 1)))
            for first in (0, channels - half)
        ]
        value = rewrite.fresh(f"{node.output[0]}_largest")
        extreme(rewrite, node, "Max", parts, value)
        channels = half
    return value


def _image_shape(model: Model, node: onnx.NodeProto) -> tuple[int, ...]:
    """Returns the shape [1, C, H, W] of the node's input as an image."""
    shape = model.shapes[node.input[0]]
    if len(shape) not in _IMAGE_AXES:
        raise RefusalError(
            f"it reduces a tensor of rank {len(shape)}", "use [N, C, H, W], [N, C, L] or [N, F]", f"shape {list(shape)}"
        )
    image = [1, 1, 1, 1]
    for axis, extent in zip(_IMAGE_AXES[len(shape)], shape[1:], strict=True):
        image[axis] = extent
    return tuple(image)


def _image_axes(model: Model, node: onnx.NodeProto, axes: Sequence[int]) -> set[int]:
    places = _IMAGE_AXES[len(model.shapes[node.input[0]])]
    return {places[axis - 1] for axis in axes}


def _as_image(rewrite: Rewrite, node: onnx.NodeProto, value: str) -> str:
    """Returns the value as [N, C, H, W]; emits a Reshape if necessary."""
    wanted = _image_shape(rewrite.model, node)
    if len(rewrite.model.shapes[node.input[0]]) == len(wanted):
        return value
    return rewrite.through(node, "Reshape", value, np.array([0, *wanted[1:]], np.int64))


def _reshape(rewrite: Rewrite, node: onnx.NodeProto, value: str, shape: Sequence[int], output: str) -> None:
    target = rewrite.constant(f"{output}_shape", np.array([0, *shape[1:]], np.int64))
    rewrite.emit("Reshape", f"{node_name(node)}_reshape", [value, target], output)
