"""The integer graph executed in numpy directly from the formulas in its docstrings, for one image."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.attention import Constant, LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.graph import (
    Add,
    AveragePool,
    BinaryLookup,
    Clamp,
    Concat,
    Conv,
    Graph,
    Lookup,
    MaxPool,
    Move,
    MovePixels,
    Mul,
    Op,
    SumPool,
    Tensor,
    View,
)

Array = NDArray[Any]


def interpret(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """All tensors [C, H, W] of the graph; `inputs` are the model's inputs with a batch of 1."""
    values = {}
    for given in graph.inputs:
        tensor = graph.tensors[given.tensor]
        array = np.asarray(inputs[given.name])
        for move in given.moves:
            array = move.apply(array)
        if step := given.quantize:
            array = _clamp(np.rint(array / np.float32(step.scale)) + np.float32(step.zero_point), tensor)
        values[given.tensor] = array[0].reshape(tensor.shape)
    for op in graph.ops:
        xs = [values[name] for name in op.inputs]
        values[op.output] = _RULES[type(op)](op, graph.tensors[op.output], *xs)
    return values


def _clamp(value: Array, y: Tensor) -> Array:
    return np.clip(value, *y.range).astype(y.dtype)


def _requantize(acc: Array, scale: Array, zero: int, y: Tensor) -> Array:
    wrapped = acc.astype(np.int64).astype(np.int32)
    return _clamp(np.rint(wrapped.astype(np.float32) * scale) + np.float32(zero), y)


def _taps(x: Array, op: Any, y: Tensor, dilations: tuple[int, int], outside: float) -> list[Array]:
    """For each tap of the window, the elements under it [C, H of y, W of y]; ``outside`` is the value in the padding."""
    (kh, kw), (sy, sx), (top, left, _, _) = op.kernel, op.strides, op.pads
    height, width = y.shape[1:]
    taps = []
    for ky in range(kh):
        for kx in range(kw):
            rows = np.arange(height) * sy - top + ky * dilations[0]
            columns = np.arange(width) * sx - left + kx * dilations[1]
            inside = ((rows >= 0) & (rows < x.shape[1]))[:, None] & ((columns >= 0) & (columns < x.shape[2]))[None]
            met = x[:, rows.clip(0, x.shape[1] - 1)][:, :, columns.clip(0, x.shape[2] - 1)]
            taps.append(np.where(inside, met, outside))
    return taps


def _conv(op: Conv, y: Tensor, x: Array) -> Array:
    taps = np.stack(_taps(x.astype(np.float64) - op.x_zero, op, y, op.dilations, 0.0), axis=1)
    acc = np.empty(y.shape, np.float64)
    per_out, per_in = y.shape[0] // op.group, x.shape[0] // op.group
    for group in range(op.group):
        out = slice(group * per_out, (group + 1) * per_out)
        weight = op.weight[out].reshape(per_out, -1).astype(np.float64)
        column = taps[group * per_in : (group + 1) * per_in].reshape(weight.shape[1], -1)
        acc[out] = (weight @ column).reshape(per_out, *y.shape[1:])
    acc += op.bias[:, None, None]
    return _requantize(acc, op.scale[:, None, None], op.y_zero, y)


def _fma(a: Array, b: np.float32, c: Array) -> Array:
    """a * b + c rounded once to float32, for 8-bit integers a: the product is exact in float64; the sum rounds to odd."""
    product, addend = a.astype(np.float64) * np.float64(b), np.asarray(c, np.float64)
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)
    even = (total.view(np.int64) & 1) == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & even, odd, total).astype(np.float32)


def _add(op: Add, y: Tensor, a: Array, b: Array) -> Array:
    inner = _fma(b.astype(np.float64), op.b_ratio, np.full(b.shape, op.offset))
    return _clamp(np.rint(_fma(a, op.a_ratio, inner)), y)


def _mul(op: Mul, y: Tensor, a: Array, b: Array) -> Array:
    product = (a.astype(np.int64) - op.a_zero) * (b.astype(np.int64) - op.b_zero)
    return _clamp(np.rint(product.astype(np.float32) * op.scale + np.float32(op.y_zero)), y)


def _max_pool(op: MaxPool, y: Tensor, x: Array) -> Array:
    return np.stack(_taps(x.astype(np.float64), op, y, op.dilations, -np.inf)).max(axis=0).astype(y.dtype)


def _sum_pool(op: SumPool, y: Tensor, x: Array) -> Array:
    acc = (x.astype(np.int64) - op.x_zero).sum(axis=(1, 2), keepdims=True)
    return _requantize(acc, op.scale, op.y_zero, y)


def _average_pool(op: AveragePool, y: Tensor, x: Array) -> Array:
    real = (x.astype(np.int32) - op.x_zero).astype(np.float32) * op.x_scale
    total, count = np.zeros(y.shape, np.float32), np.zeros(y.shape, np.float32)
    for tap in _taps(real, op, y, (1, 1), np.nan):
        inside = ~np.isnan(tap)
        total = np.where(inside, total + np.where(inside, tap, 0).astype(np.float32), total).astype(np.float32)
        count += inside
    n = np.float32(op.kernel[0] * op.kernel[1]) if op.count_include_pad else count
    return _clamp(np.rint(total / n / op.y_scale + np.float32(op.y_zero)), y)


def _bytes(x: Array) -> Array:
    return np.ascontiguousarray(x).view(np.uint8)


def _concat(op: Concat, _: Tensor, *xs: Array) -> Array:
    return np.concatenate([table[_bytes(x)] for table, x in zip(op.tables, xs, strict=True)])


def _lookup(op: Lookup, _: Tensor, x: Array) -> Array:
    tables = np.broadcast_to(op.table, (x.shape[0], 256))
    return np.stack([table[channel] for table, channel in zip(tables, _bytes(x), strict=True)])


def _binary_lookup(op: BinaryLookup, _: Tensor, a: Array, b: Array) -> Array:
    return op.table[_bytes(a), _bytes(b)]


def _clamped(op: Clamp, _: Tensor, x: Array) -> Array:
    return np.minimum(np.maximum(x, x.dtype.type(op.lo)), x.dtype.type(op.hi))


def _move(op: Move, y: Tensor, x: Array) -> Array:
    source = x.transpose(0, 2, 1) if op.swapped else x
    there = (op.channels[:, None, None] >= 0) & (op.rows[:, None] >= 0) & (op.columns >= 0)
    moved = _bytes(source)[np.ix_(op.channels, op.rows, op.columns)]
    tables = np.broadcast_to(op.table, (y.shape[0], 256))
    mapped = np.stack([table[channel] for table, channel in zip(tables, moved, strict=True)])
    return np.where(there, mapped, y.dtype.type(op.fill))


def _move_pixels(op: MovePixels, y: Tensor, x: Array) -> Array:
    there = (op.channels[:, None, None] >= 0) & (op.places >= 0)
    moved = _bytes(x).reshape(x.shape[0], -1)[op.channels[:, None, None], op.places]
    tables = np.broadcast_to(op.table, (y.shape[0], 256))
    mapped = np.stack([table[channel] for table, channel in zip(tables, moved, strict=True)])
    return np.where(there, mapped, y.dtype.type(op.fill))


def _view(_: View, __: Tensor, x: Array) -> Array:
    return x


def _scores(op: Scores, y: Tensor, a: Array, b: Array) -> Array:
    given = (a, op.a_zero), (b, op.b_zero)
    queries, keys = ((x.astype(np.int64) - zero).reshape(op.heads, -1, x.shape[2]) for x, zero in given)
    return _requantize(np.einsum("hdq,hdk->qhk", queries, keys), op.scale, op.y_zero, y)


def _mixture(op: Mixture, y: Tensor, a: Array, b: Array) -> Array:
    weights, values = a.astype(np.int64) - op.a_zero, (b.astype(np.int64) - op.b_zero).reshape(op.heads, -1, b.shape[2])
    return _requantize(np.einsum("qhk,hdk->hdq", weights, values).reshape(y.shape), op.scale, op.y_zero, y)


def _softmax(op: Softmax, y: Tensor, x: Array) -> Array:
    raw = x.astype(np.int64)
    values = op.table[raw - raw.max(axis=2, keepdims=True) + 255]
    total = np.add.accumulate(values, axis=2, dtype=np.float32)[..., -1:]
    return _clamp(np.rint(values.astype(np.float64) * op.factor / total.astype(np.float64)) + op.y_zero, y)


def _layer_norm(op: LayerNorm, y: Tensor, x: Array) -> Array:
    raw, count = x.astype(np.int64), x.shape[0]
    d, s1, s2 = count * raw - raw.sum(axis=0), raw.sum(axis=0), (raw**2).sum(axis=0)
    root = np.sqrt((count * s2 - s1**2 + op.epsilon).astype(np.float32))
    n = np.rint(d.astype(np.float32) * (np.float32(1048576) / root)).astype(np.int64)
    acc = n * op.weight[:, None, None] + op.bias[:, None, None]
    return _requantize(acc, op.scale[:, None, None], op.y_zero, y)


_RULES: dict[type[Op], Callable[..., Array]] = {
    Add: _add,
    AveragePool: _average_pool,
    BinaryLookup: _binary_lookup,
    Clamp: _clamped,
    Concat: _concat,
    Conv: _conv,
    Lookup: _lookup,
    MaxPool: _max_pool,
    Move: _move,
    MovePixels: _move_pixels,
    Mul: _mul,
    SumPool: _sum_pool,
    View: _view,
    Scores: _scores,
    Mixture: _mixture,
    Softmax: _softmax,
    LayerNorm: _layer_norm,
    Constant: lambda op, _: op.values,
}
