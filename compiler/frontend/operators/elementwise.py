"""QLinearAdd, QLinearConcat, bounds on integers, and operators that ONNX Runtime itself computes by table."""

import math
from fractions import Fraction

import numpy as np
import onnx

from compiler.frontend.attributes import attribute
from compiler.frontend.builder import Builder
from compiler.frontend.quantization import Quantization
from compiler.frontend.report import RefusalError
from compiler.frontend.runtime import Array, Session, small_model
from compiler.graph import Add, Clamp, Concat, Lookup


def add(builder: Builder, node: onnx.NodeProto) -> None:
    """QLinearAdd of two tensors of one shape."""
    a, b = builder.tensor(node.input[0]), builder.tensor(node.input[3])
    if a.onnx_shape != b.onnx_shape or a.shape != b.shape:
        raise RefusalError(
            f"its operands have shapes {list(a.onnx_shape)} and {list(b.onnx_shape)}: broadcasting is not supported",
            "expand the smaller operand before quantization",
        )
    builder.declare(node.output[0], a.shape)
    qa, qb = builder.quantization(node, 1, a.name), builder.quantization(node, 4, b.name)
    qc = builder.quantization(node, 6, node.output[0])
    if math.prod(a.shape) == 1:
        # ONNX Runtime takes single elements for scalars, and a scalar first operand swaps roles with the second.
        a, b, qa, qb = b, a, qb, qa
    a_ratio, b_ratio = qa.scale / qc.scale, qb.scale / qc.scale
    shift = fma(a_ratio, np.float32(qa.zero_point), b_ratio * np.float32(qb.zero_point))
    offset = np.float32(qc.zero_point) - shift
    builder.add(Add, node, a=a.name, b=b.name, a_ratio=a_ratio, b_ratio=b_ratio, offset=offset)


def concat(builder: Builder, node: onnx.NodeProto) -> None:
    """QLinearConcat along the channels."""
    names = list(node.input[2::3])
    made = builder.quantization(node, 0, node.output[0])
    if len(names) == 1:
        x = builder.tensor(names[0])
        builder.declare(node.output[0], x.shape)
        row = _requantized(builder.quantization(node, 3, x.name), made)
        builder.add(Lookup, node, x=x.name, table=row[np.newaxis])
        return
    xs = [builder.image(name) for name in names]
    rank = len(builder.model.shapes[node.output[0]])
    axis = attribute(node, "axis")
    if axis % rank != 1:
        raise RefusalError("a concatenation along another axis than the channels", "use axis 1", f"axis = {axis}")
    builder.declare(node.output[0])
    given = [builder.quantization(node, 3 + 3 * index, name) for index, name in enumerate(names)]
    tables = np.stack([_requantized(quantization, made) for quantization in given])
    builder.add(Concat, node, xs=tuple(x.name for x in xs), tables=tables)


def clip(builder: Builder, node: onnx.NodeProto) -> None:
    """Clip on integers."""
    _clamp(builder, node, [_bound(builder, node, 1)], [_bound(builder, node, 2)])


def relu(builder: Builder, node: onnx.NodeProto) -> None:
    """Relu on int8."""
    _clamp(builder, node, [0], [])


def maximum(builder: Builder, node: onnx.NodeProto) -> None:
    """Max of one integer tensor and constants."""
    _clamp(builder, node, _scalars(builder, node), [])


def minimum(builder: Builder, node: onnx.NodeProto) -> None:
    """Min of one integer tensor and constants."""
    _clamp(builder, node, [], _scalars(builder, node))


def table(builder: Builder, node: onnx.NodeProto) -> None:
    """An operator of one element: ONNX Runtime runs the node on all 256 bytes."""
    x = builder.tensor(node.input[0])
    builder.declare(node.output[0], x.shape)
    constants = {name: builder.model.constants[name] for name in node.input[1:] if name}
    part = small_model(builder.model.proto, [node], {x.name: (x.dtype, [1, 256])}, constants, [node.output[0]])
    values = Session(part).run({x.name: all_bytes(x.dtype).reshape(1, 256)})[node.output[0]]
    builder.add(Lookup, node, x=x.name, table=values)


def all_bytes(dtype: np.dtype) -> Array:
    """The 256 values of uint8 or int8 [256] in the order of their raw bytes."""
    return np.arange(256).astype(np.uint8).view(dtype)


def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """a * b + c rounded once to float32."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))  # rounded twice: off by one unit in the last place at most
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(candidates, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))


def _requantized(given: Quantization, made: Quantization) -> Array:
    """clamp(rne(fl(fl((x - x_zero) * x_scale) / y_scale)) + y_zero) for all bytes x."""
    info = np.iinfo(made.dtype)
    real = (all_bytes(given.dtype).astype(np.float32) - np.float32(given.zero_point)) * given.scale
    with np.errstate(over="ignore"):
        rounded = np.rint(real / made.scale) + np.float32(made.zero_point)
    return np.clip(rounded, info.min, info.max).astype(made.dtype)


def _bound(builder: Builder, node: onnx.NodeProto, index: int) -> int | None:
    if len(node.input) <= index or not node.input[index]:
        return None
    return _scalar(builder, node.input[index])


def _scalar(builder: Builder, name: str) -> int:
    if not builder.model.is_constant(name) or builder.model.constants[name].size != 1:
        raise RefusalError(f"its bound '{name}' is not one constant", "use a constant scalar")
    return int(builder.model.constants[name].reshape(()))


def _scalars(builder: Builder, node: onnx.NodeProto) -> list[int | None]:
    """The constant operands of Max and Min, whose first operand must be the tensor."""
    return [_scalar(builder, name) for name in node.input[1:]]


def _clamp(builder: Builder, node: onnx.NodeProto, los: list[int | None], his: list[int | None]) -> None:
    x = builder.tensor(node.input[0])
    lo = max([x.range[0], *(bound for bound in los if bound is not None)])
    hi = min([x.range[1], *(bound for bound in his if bound is not None)])
    if lo > hi:
        raise RefusalError("its lower bound is above its upper one", "mend the bounds", f"{lo} > {hi}")
    builder.declare(node.output[0], x.shape)
    builder.add(Clamp, node, x=x.name, lo=lo, hi=hi)
