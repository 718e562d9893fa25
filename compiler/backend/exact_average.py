"""Average pools that an integer sum computes exactly; the POST unit adds one byte per cycle then.

The ordered float32 sum depends on the bytes and on their order, not only on their integer sum, but only by a few units in
the last place. If no such difference changes any rounded result, the result is a function of the integer sum. If, in
addition, some scale gives that function, a requantized integer sum gives the same bytes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Average, Pair, Sum
from arrayloom.compiler.backend.parameters import average_of, multiplier
from arrayloom.isa.arithmetic import average_step, average_terms, encode_scale, requantize

MOST_TAPS = 16      # elements of a window for which this is tried: the time grows with their square
BYTES = np.arange(-128, 128)
NEIGHBOURS = 4      # float32 scales that are tried on each side of the rounded quotient
LEAST_SCALE, LARGEST_SCALE = 2.0 ** -32, 2.0 ** 8
MOST_OFFSET = 1 << 20   # limit of a zero point in units of the sum

Ints = NDArray[np.int64]


def as_sum(operation: Average, source: Pair, result: Pair) -> Sum | None:
    """Returns a sum that gives the same bytes as the average, or None if there is none or windows leave the source.

    ``source`` and ``result`` are (height, width) of the two tensors.
    """
    taps = operation.taps
    count = taps.kernel[0] * taps.kernel[1]
    quotient = np.float64(operation.x_scale) / (count * np.float64(operation.y_scale))
    if count > MOST_TAPS or not LEAST_SCALE <= quotient <= LARGEST_SCALE or not taps.lie_inside(source, result):
        return None
    wanted = _by_integer_sum(operation, count)
    if wanted is None:
        return None
    sums = np.arange(count * BYTES[0], count * BYTES[-1] + 1) - count * operation.x_zero
    for scale, offset, zero_point in _candidates(quotient, operation.y_zero):
        if np.array_equal(_requantized(sums + offset, scale, zero_point), wanted):
            return Sum(taps, bias=offset - count * operation.x_zero, scale=scale, zero_point=zero_point)
    return None


def _candidates(quotient: np.float64, zero: int) -> Iterator[tuple[np.float32, int, int]]:
    """Yields (scale, offset of the sum, zero point) to try, with scales near the quotient.

    The zero point is added after rounding or, if it is a whole number of units of the sum, to the sum before: ties round to
    even values, so the two can differ.
    """
    offset = zero / quotient
    places = [(0, zero)] + ([(int(offset), 0)] if offset.is_integer() and abs(offset) <= MOST_OFFSET else [])
    for step in sorted(range(-NEIGHBOURS, NEIGHBOURS + 1), key=abs):
        scale = (np.float32(quotient).view(np.int32) + np.int32(step)).view(np.float32)
        yield from ((scale, *place) for place in places)


def _by_integer_sum(operation: Average, count: int) -> Ints | None:
    """Returns the byte for each integer sum, in ascending order, or None if some integer sum can give different bytes.

    Rounded addition is monotonic, so the smallest and largest float32 sums for an integer sum follow from those with one
    element less.
    """
    terms = average_terms(BYTES, operation.x_zero, multiplier(operation))
    least = largest = terms
    for _ in range(count - 1):
        least, largest = _extended(least, terms, np.minimum), _extended(largest, terms, np.maximum)
    low, high = (np.clip(average_of(operation, total, count), BYTES[0], BYTES[-1]) for total in (least, largest))
    return low if np.array_equal(low, high) else None


def _extended(totals: Ints, terms: Ints, best: np.ufunc) -> Ints:
    """Returns the smallest or largest float32 sum for each integer sum, with one element more."""
    start = np.iinfo(np.int64).max if best is np.minimum else np.iinfo(np.int64).min
    found = np.full(len(totals) + len(terms) - 1, start)
    for place, term in enumerate(terms):
        part = found[place:place + len(totals)]
        best(part, average_step(totals, term), out=part)
    return found


def _requantized(sums: Ints, scale: np.float32, zero: int) -> Ints:
    encoded = encode_scale(float(scale))
    own = requantize(sums, np.full_like(sums, encoded.multiplier), np.full_like(sums, encoded.shift))
    return np.clip(own + zero, BYTES[0], BYTES[-1])
