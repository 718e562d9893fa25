"""The exact arithmetic of the POST unit, on integers only, equal to ONNX Runtime's float32 byte for byte.

Two float32 roundings in a row, first to 24 significant bits and then to an integer, equal one rounding to the nearest
integer in which a wider interval around one half counts as a tie: the first rounding moves every value within half a unit
in the last place of ``n + 0.5`` onto it. ``round_with_ties`` is that rounding; requantization, the residual add and the
threshold search of the average are based on it and on ``round_to_24_bits``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.instructions import ADD_FRACTION, OFFSET, RATIO, SIGNIFICANT

FRACTION = 26       # fraction bits used for rounding; all lower bits are combined in one sticky bit
SATURATED = 511     # all magnitudes from 512 on become this, since every clamp saturates them
MIN_SHIFT, MAX_SHIFT = 14, 63

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """A float32 scale as ``multiplier * 2**-shift``; multiplier 0 or 24 bits, shift 14 to 63."""

    multiplier: int
    shift: int

    @property
    def word(self) -> int:
        """The 32-bit form in a parameter entry."""
        return self.multiplier | self.shift << SIGNIFICANT


def split_float(value: float) -> tuple[int, int]:
    """A positive float32 as (integer of 24 bits, exponent): value = integer * 2**exponent."""
    mantissa, exponent = np.frexp(np.float32(value))
    return int(np.ldexp(np.float64(mantissa), SIGNIFICANT)), int(exponent) - SIGNIFICANT


def encode_scale(value: float) -> Scale:
    """A non-negative, finite float32 scale for ``requantize``; see ``encode_scales``."""
    word = int(encode_scales(np.array([value], np.float32))[0])
    return Scale(word & ((1 << SIGNIFICANT) - 1), word >> SIGNIFICANT)


def encode_scales(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The words (``Scale.word``) of these scales.

    Scales too small for any 32-bit integer to reach one half become zero; scales from 2**10 on saturate in any case.
    Raises ``EncodingError`` if a value is negative or not finite.
    """
    wrong = values[~np.isfinite(values) | (values < 0)]
    if wrong.size:
        raise EncodingError(f"scale = {wrong[0]}: must be finite and not negative")
    mantissa, exponent = np.frexp(values)
    shift = SIGNIFICANT - exponent.astype(np.int64)
    multiplier = np.where(shift > MAX_SHIFT, 0, np.ldexp(mantissa.astype(np.float64), SIGNIFICANT)).astype(np.int64)
    return (multiplier | np.where(multiplier == 0, MIN_SHIFT, np.maximum(shift, MIN_SHIFT)) << SIGNIFICANT).astype(np.uint32)


def bit_length(values: Ints) -> Ints:
    """Number of bits of non-negative integers below 2**62; 0 for 0."""
    length = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    return length - ((values >> np.maximum(length - 1, 0)) == 0) * (values > 0)


def round_to_24_bits(values: Ints) -> Ints:
    """Integers below 2**62 in magnitude rounded to 24 significant bits, ties to even: what float32 keeps of them."""
    magnitude = np.abs(values)
    drop = np.maximum(bit_length(magnitude) - SIGNIFICANT, 0)
    half_less_one = (np.int64(1) << np.maximum(drop - 1, 0)) - 1
    odd = (magnitude >> drop) & 1
    rounded = np.where(drop > 0, ((magnitude + half_less_one + odd) >> drop) << drop, magnitude)
    return np.sign(values) * rounded


def round_with_ties(whole_and_fraction: Ints, sticky: NDArray[np.bool_]) -> Ints:
    """Rounds magnitudes with 26 fraction bits and a sticky bit to integers, like two float32 roundings.

    Magnitudes from 512 on become 511.
    """
    whole = whole_and_fraction >> FRACTION
    fraction = whole_and_fraction & ((1 << FRACTION) - 1)
    half = np.int64(1) << (FRACTION - 1)
    window = np.int64(1) << (bit_length(np.minimum(whole, SATURATED)) + FRACTION - SIGNIFICANT - 1)
    above = fraction >= half
    distance = np.abs(fraction - half)
    tie = (distance < window) | ((distance == window) & ~(above & sticky))
    up = np.where(tie, whole & 1, above)
    return np.where(whole > SATURATED, SATURATED, np.minimum(whole + up, SATURATED))


def requantize(accumulator: Ints, multiplier: Ints, shift: Ints) -> Ints:
    """rne(fl(fl(accumulator) * scale)) for 32-bit accumulators; magnitudes saturate at 511."""
    magnitude = round_to_24_bits(np.abs(accumulator))
    product = magnitude * multiplier
    right = np.maximum(shift - FRACTION, 0)
    left = np.maximum(FRACTION - shift, 0)
    saturated = (product >> np.minimum(shift + 9, 62)) > 0
    kept = np.left_shift(np.where(saturated, np.int64(0), product >> right), left)
    sticky = (product & ((np.int64(1) << right) - 1)) != 0
    rounded = np.where(saturated, SATURATED, round_with_ties(kept, sticky))
    return np.where(accumulator < 0, -rounded, rounded)


def requantize_float(accumulator: NDArray[np.int32], scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """The definition of ``requantize`` in float32: rne(fl(fl(accumulator) * scale)); magnitudes saturate at 511."""
    product = accumulator.astype(np.float32) * scale
    return np.rint(np.clip(product, -SATURATED, SATURATED)).astype(np.int32)


def residual_add(a: Ints, b: Ints, ratio_a: int, ratio_b: int, offset: int) -> Ints:
    """rne(fl(a * ratio_a + fl(b * ratio_b + offset))), constants with 38 fraction bits; magnitudes saturate at 511."""
    inner = round_to_24_bits(b * np.int64(ratio_b) + np.int64(offset))
    total = a * np.int64(ratio_a) + inner
    magnitude: Ints = np.abs(total)
    drop = ADD_FRACTION - FRACTION
    rounded = round_with_ties(magnitude >> np.int64(drop), (magnitude & ((1 << drop) - 1)) != 0)
    return np.where(total < 0, -rounded, rounded)


def encode_add(ratio_a: float, ratio_b: float, offset: float) -> tuple[int, int, int]:
    """The float32 constants of a QLinearAdd as fixed-point integers for ``residual_add``.

    Raises ``EncodingError`` if one is out of range. Bits below 2**-38 are rounded away; the compiler then proves the
    result on all pairs of bytes.
    """
    values = [int(np.rint(np.ldexp(np.float64(np.float32(v)), ADD_FRACTION))) for v in (ratio_a, ratio_b, offset)]
    for name, value, limit in zip(("ratio_a", "ratio_b", "offset"), values, (RATIO, RATIO, OFFSET - 1), strict=True):
        if not -(1 << limit if name == "offset" else 0) <= value < 1 << limit:
            raise EncodingError(f"{name} of the residual add: beyond {limit - ADD_FRACTION} integer bits")
    return values[0], values[1], values[2]


def encode_product(scale: float) -> tuple[int, int]:
    """Ratios a and b with which ``residual_add`` of a zero point and a product of bytes is a QLinearMul.

    Raises ``EncodingError`` for a scale of 1 or more, with which all but the smallest products saturate. Bits below
    2**-38 are rounded away; the compiler then proves the result on all pairs of bytes.
    """
    ratio = int(np.rint(np.ldexp(np.float64(np.float32(scale)), ADD_FRACTION)))
    if not 0 <= ratio < 1 << ADD_FRACTION:
        raise EncodingError(f"scale = {scale} of a product: must be less than 1")
    return 1 << ADD_FRACTION, ratio


def average_terms(x: Ints, source_zero: int, multiplier: int) -> Ints:
    """fl(scale * (x - source_zero)) in units of the scale's last place, where ``multiplier`` is the scale's 24-bit
    integer."""
    return round_to_24_bits((x - source_zero) * np.int64(multiplier))


def average_step(total: Ints, term: Ints) -> Ints:
    """One addition of the ordered float32 sum, in the same units."""
    return round_to_24_bits(total + term)


def average_result(total: Ints, thresholds: Ints) -> Ints:
    """The signed byte whose threshold interval holds ``total``: -128 plus the number of thresholds at or below it.

    ``thresholds``: int64[256], ascending; entry 0 is ignored, entry i is the smallest total with the result -128 + i.
    """
    return np.searchsorted(thresholds[1:], total, side="right").astype(np.int64) - 128
