"""Imports QLinearAdd, QLinearMul, QLinearConcat, and operators that ONNX Runtime itself computes with a lookup table."""

from fractions import Fraction

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.broadcast import broadcast
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.constants import constant_channels, constant_tensor
from arrayloom.compiler.frontend.moved import image_shape
from arrayloom.compiler.frontend.operators.joining import join
from arrayloom.compiler.frontend.quantization import Quantization, scale_ratio
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.frontend.tabulate import all_bytes, channels_of, differs_between_positions, tabulate
from arrayloom.compiler.graph import Add, Concat, Lookup, Mul, Tensor


def add(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearAdd of two tensors, or of a tensor and a constant."""
    if _with_constant(builder, node):
        return
    names = _operands(builder, node)
    given = builder.quantization(node, 1, node.input[0]), builder.quantization(node, 4, node.input[3])
    made = builder.quantization(node, 6, node.output[0])
    if _takes_first_as_scalar(builder, node):
        # ONNX Runtime swaps the operands in this case.
        names, given = names[::-1], given[::-1]
    a_ratio, b_ratio = (scale_ratio(quantization, made) for quantization in given)
    shift = fma(a_ratio, np.float32(given[0].zero_point), b_ratio * np.float32(given[1].zero_point))
    offset = np.float32(made.zero_point) - shift
    builder.add(Add, node, a=names[0], b=names[1], a_ratio=a_ratio, b_ratio=b_ratio, offset=offset)


def mul(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearMul of two tensors, or of a tensor and a constant."""
    if _with_constant(builder, node):
        return
    a, b = _operands(builder, node)
    given = builder.quantization(node, 1, node.input[0]), builder.quantization(node, 4, node.input[3])
    made = builder.quantization(node, 6, node.output[0])
    scale = given[0].scale * given[1].scale / made.scale
    builder.add(
        Mul,
        node,
        a=a,
        b=b,
        a_zero=given[0].zero_point,
        b_zero=given[1].zero_point,
        scale=scale,
        y_zero=made.zero_point,
    )


def _operands(builder: Builder, node: onnx.NodeProto) -> list[str]:
    """Returns the operands of a QLinearAdd or QLinearMul, broadcast to one shape; a constant becomes a tensor."""
    names = [node.input[0], node.input[3]]
    for place, name in enumerate(names):
        if builder.model.is_constant(name):
            value = builder.model.constants[name]
            rank = len(builder.model.shapes[node.output[0]])
            aligned = value.reshape((1,) * (rank - value.ndim) + value.shape)
            names[place] = constant_tensor(builder, node, aligned, builder.tensor(names[1 - place]))
    return broadcast(builder, node, *names)


def _with_constant(builder: Builder, node: onnx.NodeProto) -> bool:
    """Imports the node as a lookup table if an operand is a constant that is equal at all positions; returns whether so."""
    model = builder.model
    constant = [name for name in (node.input[0], node.input[3]) if model.is_constant(name)]
    if not constant or differs_between_positions(model.constants[constant[0]], len(model.shapes[node.output[0]])):
        return False
    x = builder.tensor(next(name for name in (node.input[0], node.input[3]) if name not in constant))
    rank = len(model.shapes[node.output[0]])
    channels = channels_of(model, node, constant, rank)
    if model.shapes[node.output[0]] != model.shapes[x.name] or (channels > 1 and x.shape[0] != channels):
        raise RefusalError(
            f"the constant '{constant[0]}' would broadcast its other operand, or is applied to reshaped channels",
            "give it one value, or one for each channel",
            f"shape {list(model.constants[constant[0]].shape)}",
        )
    builder.declare(node.output[0], x.shape)
    builder.add(Lookup, node, x=x.name, table=tabulate(model, [node], x, channels))
    return True


def _takes_first_as_scalar(builder: Builder, node: onnx.NodeProto) -> bool:
    """Whether the first operand has a single value in ONNX Runtime's innermost loop, which runs over the second one."""
    shapes = [builder.model.shapes[name] for name in (node.input[0], node.input[3])]
    rank = len(builder.model.shapes[node.output[0]])
    shapes = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    for first, second in zip(shapes[0][::-1], shapes[1][::-1], strict=True):
        if max(first, second) > 1:
            return bool(first == 1)
    return True


def concat(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports QLinearConcat."""
    names = list(node.input[2::3])
    made = builder.quantization(node, 0, node.output[0])
    if len(names) == 1:
        x = builder.tensor(names[0])
        builder.declare(node.output[0], x.shape)
        row = _requantized(builder.quantization(node, 3, x.name), made)
        builder.add(Lookup, node, x=x.name, table=row[np.newaxis])
        return
    xs = _concatenated(builder, node, names)
    rank = len(builder.model.shapes[node.output[0]])
    axis = attribute(node, "axis")
    builder.declare(node.output[0])
    given = [builder.quantization(node, 3 + 3 * index, name) for index, name in enumerate(names)]
    tables = np.stack([_requantized(quantization, made) for quantization in given])
    if axis % rank != 1:
        join(builder, node, xs, tables)
        return
    builder.add(Concat, node, xs=tuple(x.name for x in xs), tables=tables)


def _concatenated(builder: Builder, node: onnx.NodeProto, names: list[str]) -> list[Tensor]:
    """Returns the operands of a concatenation as images; constants become tensors."""
    model = builder.model
    xs = {name: builder.image(name) for name in names if not model.is_constant(name)}
    near = next(iter(xs.values()))
    for name in dict.fromkeys(names):
        if name in xs:
            continue
        value = model.constants[name]
        by_channel = value.reshape(*image_shape(value.shape[1:])[:1], -1)
        if (by_channel == by_channel[:, :1]).all() and value.shape[2:] == near.onnx_shape[1:]:
            made = constant_channels(builder, node, by_channel[:, 0], near)
        else:
            made = constant_tensor(builder, node, value, near)
        xs[name] = builder.tensors[made]
    return [xs[name] for name in names]


def table(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports an element-wise operator as a lookup table, for which ONNX Runtime runs the node on all 256 bytes."""
    x = builder.tensor(node.input[0])
    builder.declare(node.output[0], x.shape)
    builder.add(Lookup, node, x=x.name, table=tabulate(builder.model, [node], x, channels=1))


def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """Returns a * b + c, rounded once to float32."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))  # rounded twice: wrong by at most one unit in the last place
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(candidates, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))


def _requantized(given: Quantization, made: Quantization) -> Array:
    """Returns clamp(rne(fl(fl((x - x_zero) * x_scale) / y_scale)) + y_zero) for all bytes x."""
    info = np.iinfo(made.dtype)
    with np.errstate(over="ignore"):
        real = (all_bytes(given.dtype).astype(np.float32) - np.float32(given.zero_point)) * given.scale
        rounded = np.rint(real / made.scale) + np.float32(made.zero_point)
    return np.clip(rounded, info.min, info.max).astype(made.dtype)
