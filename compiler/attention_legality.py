"""The rules of the operations of transformers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayloom.compiler.attention import Constant, LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.checker import Checker
from arrayloom.compiler.graph import Op, Tensor
from arrayloom.isa.attention import MOST_NORMALIZED
from arrayloom.isa.instructions import BYTE_VALUES


def _tokens(rule: Checker, tensor: Tensor, heads: int) -> None:
    channels, height, _ = tensor.shape
    rule.require(height == 1, f"'{tensor.name}' is {tensor.shape}, tokens are [C, 1, T]")
    divides = heads >= 1 and channels % heads == 0
    rule.require(divides, f"{channels} channels of '{tensor.name}' are not those of {heads} heads")


def _zero_points(rule: Checker, op: Scores | Mixture) -> None:
    rule.scale(op.scale)
    for tensor, zero_point in zip((*rule.xs, rule.y), (op.a_zero, op.b_zero, op.y_zero), strict=True):
        rule.zero_point(tensor, zero_point)


def _scores(rule: Checker, op: Scores) -> None:
    a, b = rule.xs
    _tokens(rule, a, op.heads)
    _tokens(rule, b, op.heads)
    rule.require(a.shape[0] == b.shape[0], f"queries have {a.shape[0]} channels, keys {b.shape[0]}")
    rule.shape((a.shape[2], op.heads, b.shape[2]))
    _zero_points(rule, op)


def _mixture(rule: Checker, op: Mixture) -> None:
    a, b = rule.xs
    _tokens(rule, b, op.heads)
    rule.require(a.shape[1:] == (op.heads, b.shape[2]), f"weights are {a.shape}, values {b.shape} of {op.heads} heads")
    rule.shape((b.shape[0], 1, a.shape[0]))
    _zero_points(rule, op)


def _softmax(rule: Checker, op: Softmax) -> None:
    rule.same_dtype()
    rule.shape(rule.xs[0].shape)
    legal = op.table.shape == (BYTE_VALUES,) and op.table.dtype == np.float32 and bool(np.all(op.table >= 0))
    rule.require(legal and op.table[-1] > 0, "its table holds no contributions of 256 bytes")
    rule.require(op.factor >= 1, f"factor {op.factor} is less than 1")
    rule.zero_point(rule.y, op.y_zero)


def _layer_norm(rule: Checker, op: LayerNorm) -> None:
    channels = rule.y.shape[0]
    rule.shape(rule.xs[0].shape)
    rule.require(channels <= MOST_NORMALIZED, f"{channels} channels are more than {MOST_NORMALIZED}")
    rule.require(op.epsilon >= 1, f"epsilon {op.epsilon} is less than 1")
    for name, value, dtype in (("weight", op.weight, np.int8), ("bias", op.bias, np.int32), ("scale", op.scale, np.float32)):
        rule.require(value.shape == (channels,) and value.dtype == dtype, f"{name} is {value.dtype}{value.shape}")
    rule.require(bool(np.all(np.abs(op.weight) <= 1)), "a weight lies outside -1..1")
    rule.scale(op.scale)
    rule.zero_point(rule.y, op.y_zero)


def _constant(rule: Checker, op: Constant) -> None:
    rule.shape(op.values.shape)
    rule.require(op.values.dtype == rule.y.dtype, f"values are {op.values.dtype}, the output {rule.y.dtype}")


ATTENTION_RULES: dict[type[Op], Callable[[Checker, Any], None]] = {
    Scores: _scores,
    Mixture: _mixture,
    Softmax: _softmax,
    LayerNorm: _layer_norm,
    Constant: _constant,
}
