"""Residual adds of arbitrary constants whose totals lie where rounding turns, so that every bit of every product decides.

The constants of board_ties.py are mostly zero, which leaves the higher slices of both products without carries.
"""

from dataclasses import dataclass

import numpy as np
from board_programs import RESULTS, Assembler, load_words, store_words
from rounding_edges import total_at_window

from arrayloom.isa.arithmetic import round_to_24_bits
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Units
from arrayloom.isa.instructions import ADD_FRACTION, OFFSET, RATIO, SIGNIFICANT, ZERO_POINT, Elementwise, End
from arrayloom.isa.program import Program

ADDS = 220
RESULT = 1024           # first word written on chip
OFFSETS = 1 << ZERO_POINT - 1       # of operands: from minus this to one less
TRIES = 1000


@dataclass(frozen=True)
class Constants:
    """Operands with their offsets, and constants of the add."""

    a: int
    b: int
    ratio_a: int
    ratio_b: int
    add_offset: int

    @property
    def fit(self) -> bool:
        """Whether the constants fit into their fields."""
        most = 1 << OFFSET - 1
        return all(0 <= ratio < 1 << RATIO for ratio in (self.ratio_a, self.ratio_b)) and -most <= self.add_offset < most


def exact_adds(config: Config, seed: int) -> Program:
    """In each add, one byte's total is at an end of the tie window, or next to it, by constants with many bits."""
    rng, code = np.random.default_rng(seed), Assembler(config)
    data = rng.integers(-128, 128, (2 * ADDS, config.size), np.int8)
    code.add(load_words(code.constant(data), 0, len(data), signal=Units.POST))
    for number in range(ADDS):
        swap = int(rng.integers(2))
        own, other = (int(data[half * ADDS + number, number % config.size]) for half in range(2))
        first, second = (other, own) if swap else (own, other)
        one = _constants(rng, first, second, number)
        code.add(Elementwise(source=number, residual=ADDS + number, destination=RESULT + number, height=1, width=1, add=1,
                             a_offset=one.a - first, b_offset=one.b - second, ratio_a=one.ratio_a, ratio_b=one.ratio_b,
                             add_offset=one.add_offset, sum_offset=int(rng.integers(-3, 4)), swap=swap,
                             wait=0 if number else Units.LOAD, signal=Units.STORE if number == ADDS - 1 else 0))
    code.add(store_words(RESULTS, RESULT, ADDS, wait=Units.POST), End())
    return code.program()


def _constants(rng: np.random.Generator, first: int, second: int, number: int) -> Constants:
    """Constants of one of three kinds, drawn until they fit: which of the operands completes the total."""
    for _ in range(TRIES):
        a, b = (byte + int(rng.integers(-OFFSETS, OFFSETS)) for byte in (first, second))
        total = total_at_window(rng) * int(rng.choice([-1, 1]))
        match number % 3:
            case 0:
                found = _completed_by_offset(rng, a, b, total)
            case 1:
                found = _completed_by_ratio(rng, a, b, total)
            case _:
                found = _completed_by_ratio(rng, first + (1 if first < 0 else -1) * (abs(first) - 1), b, total)
        if found is not None and found.fit:
            return found
    raise AssertionError(f"no constants for bytes {first} and {second}")


def _completed_by_offset(rng: np.random.Generator, a: int, b: int, total: int) -> Constants | None:
    """The products are arbitrary; the offset cancels the second one up to a rest that rounding keeps."""
    if not a:
        return None
    rest = int(rng.integers(0, 1 << int(rng.integers(1, SIGNIFICANT)))) * int(rng.choice([-1, 1]))
    ratio_a = (total - rest) // a
    ratio_b = int(rng.integers(0, 1 << int(rng.integers(1, RATIO + 1))))
    return Constants(a, b, ratio_a, ratio_b, total - a * ratio_a - b * ratio_b)


def _completed_by_ratio(rng: np.random.Generator, a: int, b: int, total: int) -> Constants | None:
    """The second product and the offset are arbitrary; the first product completes their rounded sum."""
    if not a:
        return None
    ratio_b = int(rng.integers(0, 1 << int(rng.integers(1, RATIO + 1))))
    cancelled = -b * ratio_b if rng.integers(2) else 0
    add_offset = cancelled + int(rng.integers(0, 1 << int(rng.integers(1, ADD_FRACTION + 6)))) * int(rng.choice([-1, 1]))
    inner = int(round_to_24_bits(np.int64(b) * np.int64(ratio_b) + np.int64(add_offset)))
    return Constants(a, b, (total - inner) // a, ratio_b, add_offset)
