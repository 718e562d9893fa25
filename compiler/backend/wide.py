"""Adds and products whose ratios exceed the range of the add unit.

Nearly all results are clamped then, so lookup tables before or after the unit can represent the few operands that matter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.add import LARGEST_PRODUCT, first_wrong_product, float_product, float_sum
from arrayloom.compiler.backend.epilogue import HIGH, IDENTITY, LOW, AddConstants, LookupTable
from arrayloom.compiler.graph import Add, Mul
from arrayloom.isa import arithmetic
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.instructions import ADD_FRACTION, BYTE_VALUES, RATIO

LARGEST_RATIO = float(2 ** (RATIO - ADD_FRACTION))
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest scale of a product in the add unit


@dataclass(frozen=True, eq=False)
class WideAdd:
    """An add of two operands after a lookup table each."""

    a_table: LookupTable
    b_table: LookupTable
    constants: AddConstants


def wide_add(op: Add, unsigned: bool) -> WideAdd | None:
    """Returns an add whose tables magnify the operands near the range in which the sum is not clamped.

    The magnification is the factor by which the ratios are too large. Returns None if the result is not exact for all pairs
    of bytes.
    """
    ratios = float(op.a_ratio), float(op.b_ratio)
    shift = 128 if unsigned else 0
    offset = float(op.offset) + shift * (ratios[0] + ratios[1]) - shift  # of signed bytes
    factors = [_factor(ratio) for ratio in ratios]
    # The operand with the larger ratio is centred where the sum is in the middle of the range; the other stays at 0.
    first = 0 if ratios[0] >= ratios[1] else 1
    centres = [0, 0]
    centres[first] = round(float(np.clip(-offset / ratios[first], LOW, HIGH)))
    tables = [_magnifier(factor, centre) for factor, centre in zip(factors, centres, strict=True)]
    shifted = offset + sum(ratio * centre for ratio, centre in zip(ratios, centres, strict=True))
    try:
        encoded = arithmetic.encode_add(ratios[0] / factors[0], ratios[1] / factors[1], shifted)
    except EncodingError:
        return None
    columns = tables[0][0].astype(np.int64)[:, np.newaxis], tables[1][0].astype(np.int64)
    made = np.clip(arithmetic.residual_add(*columns, *encoded), LOW, HIGH)
    if not np.array_equal(made, sum_table(op, unsigned)):
        return None
    return WideAdd(tables[0], tables[1], AddConstants(*encoded, 0, 0, 0))


def wide_product(op: Mul, unsigned: bool) -> tuple[AddConstants, LookupTable] | None:
    """Returns a product with a scale just below 1 and a table for its result, for a QLinearMul with a scale of 1 or more.

    At most 254 products have results that are not clamped. The unit maps each of them to a different byte, and all smaller
    or larger products to one byte each; the table converts these bytes. Returns None if the scale is less than 1, or the
    result is not exact for all products.
    """
    if op.scale < 1:
        return None
    shift = 128 if unsigned else 0
    products = np.arange(-LARGEST_PRODUCT, LARGEST_PRODUCT + 1, dtype=np.int64)
    results = np.clip(float_product(products, op.scale, op.y_zero) - shift, LOW, HIGH)
    lowest = int(products[results == LOW].max())
    ratio_a, ratio_b = arithmetic.encode_product(BELOW_ONE)
    if first_wrong_product(BELOW_ONE, -lowest, ratio_a, ratio_b) is not None:
        return None
    made = np.clip(arithmetic.residual_add(np.full_like(products, -lowest), products, ratio_a, ratio_b, 0) + LOW, LOW, HIGH)
    table = IDENTITY.copy()
    table[0, made - LOW] = results
    if not np.array_equal(table[0, made - LOW], results):
        return None
    return AddConstants(ratio_a, ratio_b, 0, shift - op.a_zero, shift - op.b_zero, LOW, 1, -lowest), table


def sum_table(op: Add, unsigned: bool) -> NDArray[np.int64]:
    """Returns the results [256, 256] of a QLinearAdd for signed bytes a - 128 and b - 128, as signed bytes."""
    shift = 128 if unsigned else 0
    a, b = _signed_pairs()
    return np.clip(float_sum(a + shift, b + shift, op.a_ratio, op.b_ratio, op.offset) - shift, LOW, HIGH)


def product_table(op: Mul, unsigned: bool) -> NDArray[np.int64]:
    """Returns the results [256, 256] of a QLinearMul for signed bytes a - 128 and b - 128, as signed bytes."""
    shift = 128 if unsigned else 0
    a, b = _signed_pairs()
    product = (a + shift - op.a_zero) * (b + shift - op.b_zero)
    return np.clip(float_product(product, op.scale, op.y_zero) - shift, LOW, HIGH)


def _signed_pairs() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    a, b = np.indices((BYTE_VALUES, BYTE_VALUES), np.int64) - 128
    return a, b


def _factor(ratio: float) -> int:
    """Returns the smallest power of two by which a ratio must be divided to be within the add unit's range."""
    factor = 1
    while ratio / factor >= LARGEST_RATIO:
        factor *= 2
    return factor


def _magnifier(factor: int, centre: int) -> LookupTable:
    values = (np.arange(BYTE_VALUES, dtype=object) - 128 - centre) * factor
    return np.clip(values, LOW, HIGH).astype(np.int8)[np.newaxis]
