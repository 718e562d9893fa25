"""Lowers ReduceMean and ReduceSum to com.microsoft.QLinearGlobalAveragePool, or QLinearAveragePool over only H or only W."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import moves
from arrayloom.compiler.frontend.lowering.pooling import emit_average
from arrayloom.compiler.frontend.lowering.reductions import lower_channel_sum, reduced_axes
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source
from arrayloom.compiler.frontend.lowering.target import clamped, find_targets
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import node_name

RANKS = (3, 4)


@dataclass(frozen=True)
class _Pooling:
    """A pooling that computes a mean; `order` is the permutation of axes that moves the channels to axis 1."""

    operator: str
    attributes: dict[str, Any]
    order: tuple[int, ...]


def lower_reduce_mean(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, ReduceMean or ReduceSum, QuantizeLinear to [Transpose], average pooling, [reshape].

    A sum of n elements is their mean, quantized with the scale divided by n.
    """
    model = rewrite.model
    shape, made = model.shapes[node.input[0]], model.shapes[node.output[0]]
    axes = reduced_axes(model, node)
    averaged = [axis for axis in axes if shape[axis] > 1]
    x = rewrite.source(node.input[0])
    if not averaged:
        rewrite.set_source(node.output[0], Source(_reshaped(rewrite, node, x.name, made), x.quantization))
        return
    pooling = _pooling(model, node, averaged)
    if pooling is None:
        lower_channel_sum(rewrite, node, averaged)
        return
    count = np.float32(np.prod([shape[axis] for axis in averaged])) if node.op_type == "ReduceSum" else np.float32(1)
    value = x.name
    if pooling.order != tuple(range(len(shape))):
        value = rewrite.fresh(f"{node_name(node)}_transposed")
        rewrite.emit("Transpose", value, [x.name], value, perm=pooling.order)
    pooled = _pooled_shape(shape, pooling, averaged)
    for target in find_targets(rewrite, node.output[0]):
        output = clamped(rewrite, target)
        mean = output if pooled == made else rewrite.fresh(f"{target.name}_mean")
        mean_of = replace(target.quantization, scale=target.quantization.scale / count)
        operands = Source(value, x.quantization), replace(target, quantization=mean_of)
        emit_average(rewrite, node, pooling.operator, operands, mean, **pooling.attributes)
        if mean != output:
            _reshaped(rewrite, node, mean, made, output)


def _pooling(model: Model, node: onnx.NodeProto, averaged: list[int]) -> _Pooling | None:
    """Returns the pooling that averages the given axes, or None if the channels are averaged too.

    The channels are the axis that is not averaged and has an extent greater than 1.
    """
    shape = model.shapes[node.input[0]]
    rank = len(shape)
    kept = [axis for axis in range(1, rank) if axis not in averaged and shape[axis] > 1]
    unmoved = tuple(range(rank))
    if rank not in RANKS:
        return None
    if 1 not in averaged and (not kept or kept == [1]):
        return _Pooling("QLinearGlobalAveragePool", {"channels_last": 0}, unmoved)
    if len(kept) == 1 and _is_transposed(model, node.input[0]):
        order = (0, kept[0], *(axis for axis in range(1, rank) if axis != kept[0]))
        return _Pooling("QLinearGlobalAveragePool", {"channels_last": 0}, order)
    if 1 not in averaged:
        kernel = [shape[axis] if axis in averaged else 1 for axis in range(2, rank)]
        return _Pooling("QLinearAveragePool", {"kernel_shape": kernel, "strides": [1] * len(kernel)}, unmoved)
    return None


def _is_transposed(model: Model, value: str) -> bool:
    """Whether the value was moved by a Transpose, so that any axis may hold the channels."""
    producer = model.producers.get(value)
    while producer is not None and (producer.op_type in ("QuantizeLinear", "DequantizeLinear") or moves(producer)):
        if producer.op_type == "Transpose":
            return True
        producer = model.producers.get(producer.input[0])
    return False


def _pooled_shape(shape: tuple[int, ...], pooling: _Pooling, averaged: list[int]) -> tuple[int, ...]:
    return tuple(1 if axis in averaged else shape[axis] for axis in pooling.order)


def _reshaped(rewrite: Rewrite, node: onnx.NodeProto, value: str, shape: tuple[int, ...], output: str = "") -> str:
    """Emits a reshape of [N, ...] to `shape`, whose first extent is the batch."""
    output = output or rewrite.fresh(f"{node.output[0]}_quantized")
    if len(shape) == 2:
        rewrite.emit("Flatten", f"{node_name(node)}_flatten", [value], output, axis=1)
    else:
        target = rewrite.constant(f"{output}_shape", np.array([0, *shape[1:]], np.int64))
        rewrite.emit("Reshape", f"{node_name(node)}_reshape", [value, target], output)
    return output
