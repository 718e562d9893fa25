"""Programs whose values are all at the boundaries of a rounding or a comparison: residual adds, and averages."""

import numpy as np
from board_programs import RESULTS, Assembler, load_words, store_words
from numpy.typing import NDArray
from rounding_edges import total_at_window

from arrayloom.isa.config import Config
from arrayloom.isa.fields import Units
from arrayloom.isa.instructions import SIGNIFICANT, THRESHOLDS, Elementwise, End, LoadParameters, Pool, PoolKind
from arrayloom.isa.program import Program

ADDS = 220
AVERAGES = 30
SIDE = 6            # rows and columns of the source of an average
NEAR, FEW = 3, 3    # of small averages: distance from the zero point, and taps in each direction
RESULT = 1024       # first word written on chip
LATER = (1 << 63) - 1       # a threshold that no total reaches


def adds(config: Config, seed: int) -> Program:
    """Residual adds of bytes; one byte makes the total of the constants an end of the tie window, or one bit beyond."""
    rng, code = np.random.default_rng(seed), Assembler(config)
    data = rng.integers(-128, 128, (2 * ADDS, config.size), np.int8)
    code.add(load_words(code.constant(data), 0, len(data), signal=Units.POST))
    for number in range(ADDS):
        a, b = (int(data[half * ADDS + number, number % config.size]) for half in range(2))
        code.add(Elementwise(source=number, residual=ADDS + number, destination=RESULT + number, height=1, width=1, add=1,
                             **_constants(rng, a, b, number), wait=0 if number else Units.LOAD,
                             signal=Units.STORE if number == ADDS - 1 else 0))
    return _stored(code, ADDS)


def _constants(rng: np.random.Generator, a: int, b: int, number: int) -> dict[str, int]:
    total, other = total_at_window(rng), int(rng.integers(0, 1 << int(rng.integers(1, 39))))
    fields = {"a_offset": 1 - a, "b_offset": 1 - b, "sum_offset": int(rng.integers(-3, 4)), "swap": number >> 2 & 1,
              "ratio_a": 0, "ratio_b": 0}
    match number % 4:
        case 0:
            return fields | {"ratio_a": total}
        case 1:
            return fields | {"ratio_b": total}
        case 2:
            return fields | {"add_offset": total * int(rng.choice([-1, 1])), "ratio_a": other, "a_offset": -a}
        case _:
            return fields | {"ratio_a": other, "ratio_b": int(rng.integers(0, 1 << 38)), "add_offset": total - other}


def averages(config: Config, seed: int) -> Program:
    """Averages whose totals equal thresholds, or are one less."""
    rng = np.random.default_rng(seed)
    return _averages(config, rng, rng.integers(-128, 128, (SIDE * SIDE, config.size), np.int8), SIDE, -128, 128)


def small_averages(config: Config, seed: int) -> Program:
    """The same for totals that rounding leaves as they are, or changes little: of few bytes near their zero point."""
    rng = np.random.default_rng(seed)
    zero = int(rng.integers(-100, 100))
    data = rng.integers(zero - NEAR, zero + NEAR + 1, (SIDE * SIDE, config.size)).astype(np.int8)
    return _averages(config, rng, data, FEW, zero - 1, zero + 2)


def _averages(config: Config, rng: np.random.Generator, data: NDArray[np.int8], most: int, lowest: int, end: int) -> Program:
    """Averages over up to ``most`` taps in each direction, with zero points from ``lowest`` to before ``end``."""
    code = Assembler(config)
    code.add(load_words(code.constant(data), 0, len(data), signal=Units.POST))
    pools: list[dict[str, int]] = []
    totals: list[int] = []
    for _ in range(AVERAGES):
        fields = {"taps_y": int(rng.integers(1, most + 1)), "taps_x": int(rng.integers(1, most + 1)),
                  "multiplier": int(rng.integers(1 << SIGNIFICANT - 1, 1 << SIGNIFICANT)),
                  "source_zero": int(rng.integers(lowest, end))}
        pools.append(fields)
        totals += _totals(data, fields)
    table = code.constant(_thresholds(config, rng, totals))
    for number, fields in enumerate(pools):
        code.add(LoadParameters(address=table, entries=THRESHOLDS),
                 Pool(kind=PoolKind.AVERAGE, source=0, row_pitch=SIDE, source_height=SIDE, source_width=SIDE, height=1,
                      width=1, destination=RESULT + number, release_parameters=1, **fields, wait=0 if number else Units.LOAD,
                      signal=Units.STORE if number == AVERAGES - 1 else 0))
    return _stored(code, AVERAGES)


def _totals(data: NDArray[np.int8], fields: dict[str, int]) -> list[int]:
    """Per channel: terms added in sequence in float32, like ONNX Runtime."""
    window = data.reshape(SIDE, SIDE, -1)[:fields["taps_y"], :fields["taps_x"]].reshape(-1, data.shape[1])
    terms = ((window.astype(np.int64) - fields["source_zero"]) * fields["multiplier"]).astype(np.float32)
    return [int(total) for total in np.add.accumulate(terms, dtype=np.float32)[-1]]


def _thresholds(config: Config, rng: np.random.Generator, totals: list[int]) -> NDArray[np.uint32]:
    """uint32[256, 2, lanes]: half of the totals, and the other half plus one."""
    values = sorted(total + int(rng.integers(0, 2)) for total in totals[:THRESHOLDS])
    halves = np.array([*values, *[LATER] * (THRESHOLDS - len(values))], np.int64).view(np.uint32).reshape(-1, 2, 1)
    return np.repeat(halves, config.lanes, 2)


def _stored(code: Assembler, words: int) -> Program:
    code.add(store_words(RESULTS, RESULT, words, wait=Units.POST), End())
    return code.program()
