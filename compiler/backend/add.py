"""Constants of the residual add and product, each checked against ONNX Runtime's formula for all operands."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.epilogue import AddConstants
from arrayloom.compiler.graph import Add, Mul
from arrayloom.isa import arithmetic
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.instructions import BYTE_VALUES

LARGEST_PRODUCT = 255 * 255
CLAMPED = (-129, 256)   # one beyond the range of bytes: any clamp to bytes maps larger magnitudes to the same result


def add_constants(op: Add, unsigned: bool) -> AddConstants | None:
    """Returns the instruction's constants for a QLinearAdd.

    Returns None if they do not fit the add unit, or if the result would differ from the float32 formula for some pair of
    operands.
    """
    ratios = float(op.a_ratio), float(op.b_ratio), float(op.offset)
    try:
        ratio_a, ratio_b, offset = arithmetic.encode_add(*ratios)
    except EncodingError:
        return None
    shift = 128 if unsigned else 0
    constants = AddConstants(ratio_a, ratio_b, offset, shift, shift, -shift)
    return constants if first_mismatch(ratios, constants) is None else None


def product_constants(op: Mul, unsigned: bool) -> AddConstants | None:
    """Returns the instruction's constants for a QLinearMul, or None under the same conditions as ``add_constants``."""
    scale = float(op.scale)
    try:
        ratio_a, ratio_b = arithmetic.encode_product(scale)
    except EncodingError:
        return None
    if first_wrong_product(scale, op.y_zero, ratio_a, ratio_b) is not None:
        return None
    shift = 128 if unsigned else 0
    return AddConstants(ratio_a, ratio_b, 0, shift - op.a_zero, shift - op.b_zero, -shift, 1, op.y_zero)


def first_wrong_product(scale: float, zero: int, ratio_a: int, ratio_b: int) -> int | None:
    """Returns a product of two bytes for which the add unit does not give rne(fl(fl(product * scale) + zero)), or None.

    Results outside ``CLAMPED`` count as equal, since the clamp maps them to the same byte.
    """
    products = np.arange(-LARGEST_PRODUCT, LARGEST_PRODUCT + 1, dtype=np.int64)
    exact = arithmetic.residual_add(np.full_like(products, zero), products, ratio_a, ratio_b, 0)
    wrong = np.flatnonzero(np.clip(exact, *CLAMPED) != float_product(products, np.float32(scale), zero))
    return int(products[wrong[0]]) if len(wrong) else None


@lru_cache(maxsize=256)
def first_mismatch(ratios: tuple[float, float, float], constants: AddConstants) -> tuple[int, int] | None:
    """Returns two operands, as bytes of the model, whose sum differs from the float32 formula, or None if all 65,536 pairs
    agree."""
    unsigned = constants.a_offset != 0
    low, high = (0, 255) if unsigned else (-128, 127)
    values = np.arange(low, high + 1, dtype=np.int64)
    a, b = np.repeat(values, BYTE_VALUES), np.tile(values, BYTE_VALUES)
    expected = np.clip(float_sum(a, b, *(np.float32(r) for r in ratios)), low, high)
    exact = arithmetic.residual_add(a, b, constants.ratio_a, constants.ratio_b, constants.add_offset)
    wrong = np.flatnonzero(np.clip(exact, low, high) != expected)
    return (int(a[wrong[0]]), int(b[wrong[0]])) if len(wrong) else None


def float_product(products: NDArray[np.int64], scale: np.float32, zero: int) -> NDArray[np.int64]:
    """Returns rne(fl(fl(product * scale) + zero)), clamped to ``CLAMPED``."""
    with np.errstate(over="ignore"):
        shifted = products.astype(np.float32) * scale + np.float32(zero)
    return np.clip(np.rint(shifted), *CLAMPED).astype(np.int64)


def float_sum(a: NDArray[np.int64], b: NDArray[np.int64], ra: np.float32, rb: np.float32,
              offset: np.float32) -> NDArray[np.int64]:
    """Returns rne(fma(a, ra, fma(b, rb, offset))), clamped to ``CLAMPED``."""
    inner = _fma(b, rb, np.full(b.shape, offset, np.float32))
    return np.clip(np.rint(_fma(a, ra, inner)), *CLAMPED).astype(np.int64)


def _fma(x: NDArray[np.int64], y: np.float32, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns x * y + z for |x| < 256, rounded once to float32.

    The product is exact in float64, and so is the rounding error of the sum (Knuth's two-sum). The sum is first rounded to
    odd, so that the second rounding, to float32, gives the correctly rounded result (Boldo and Melquiond, 2008).
    """
    product, addend = x.astype(np.float64) * np.float64(y), z.astype(np.float64)
    total = product + addend
    shadow = total - product
    error = (product - (total - shadow)) + (addend - shadow)
    bits = total.view(np.int64)
    toward_zero = (error != 0) & ((error < 0) == (total > 0))
    truncated = bits - toward_zero
    odd = np.where(error != 0, truncated | 1, bits)
    return odd.view(np.float64).astype(np.float32)
