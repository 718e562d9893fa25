"""Operations of transformers in the integer graph, on tokens and scores.

Tokens are tensors [C, 1, T], whose channels are ordered by head. The scores of H heads are [T, H, T]: channels are queries,
rows are heads and columns are keys.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.graph import Op


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores(Op):
    """QLinearMatMul of queries and keys, for each head: y[q, h, k] = clamp(rne(fl(fl(acc) * scale)) + y_zero).

    acc = sum over d of (a[h * D + d, 0, q] - a_zero) * (b[h * D + d, 0, k] - b_zero), exact.
    """

    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a: str
    b: str
    heads: int
    a_zero: int
    b_zero: int
    scale: np.float32  # fl(fl(a_scale * b_scale) / y_scale)
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixture(Op):
    """QLinearMatMul of softmax and values, for each head: y[h * D + d, 0, q] = clamp(rne(fl(fl(acc) * scale)) + y_zero).

    acc = sum over k of (a[q, h, k] - a_zero) * (b[h * D + d, 0, k] - b_zero), exact.
    """

    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a: str
    b: str
    heads: int
    a_zero: int
    b_zero: int
    scale: np.float32  # fl(fl(a_scale * b_scale) / y_scale)
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Op):
    """QLinearSoftmax over each row, `arrayloom.isa.attention.softmax`."""

    x: str
    table: NDArray[np.float32]  # [256], `arrayloom.isa.attention.softmax_table`
    factor: int  # floor(1 / y_scale)
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerNorm(Op):
    """Normalization over the channels of each pixel: y = clamp(rne(fl(fl(n * weight + bias) * scale)) + y_zero).

    n = rne(fl(fl(d) * fl(2**20 / fl(sqrt(fl(v)))))) with d = C * x - sum(x) and v = C * sum((x - x_zero)**2) -
    sum(x - x_zero)**2 + epsilon, which are exact.
    """

    x: str
    epsilon: int
    weight: NDArray[np.int8]  # [C], -1, 0 or 1
    bias: NDArray[np.int32]  # [C]
    scale: NDArray[np.float32]  # [C]
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Constant(Op):
    """A tensor of constants, such as the positions of tokens."""

    operands: ClassVar[tuple[str, ...]] = ()

    values: NDArray[np.generic]  # [C, H, W] in the output's dtype


ATTENTION = (Scores, Mixture, Softmax, LayerNorm)
"""The operations that only some accelerators have units for."""
