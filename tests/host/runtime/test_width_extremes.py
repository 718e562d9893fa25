"""The largest values that legal fields can produce, on the RTL: no register is too narrow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from word_runs import MEMORY_BYTES, Left, program_of_words, run_on_emulator, run_on_rtl

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.arithmetic import encode_scale
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    OFFSET,
    PRODUCT_OFFSETS,
    SIGNIFICANT,
    TAPS,
    THRESHOLDS,
    Convolve,
    Drain,
    Elementwise,
    End,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
)

TINY = PRESETS["tiny"]
LARGEST_WINDOW = (1 << TAPS) - 1        # rows or columns
LARGEST_MULTIPLIER = (1 << SIGNIFICANT) - 1
LARGEST_PRODUCT = 1 << 14               # of two bytes
LATER = (1 << 63) - 1                   # a threshold that no total reaches


@pytest.fixture(scope="module")
def run() -> Callable[..., Left]:
    """Runs instructions on the RTL and compares with the emulator, except where that would take minutes."""
    build = simulator_of(TINY)

    def runs(instructions: list[Instruction], memory: NDArray[np.uint8], scratchpad: NDArray[np.int8],
             emulates: bool = True) -> Left:
        words = [int.from_bytes(one.encode(), "little") for one in (*instructions, End())]
        program = program_of_words(TINY, words, memory.size)
        simulated = run_on_rtl(build, program, memory, scratchpad)
        assert not simulated.refusal
        if emulates:
            emulated = run_on_emulator(TINY, program, memory, scratchpad)
            assert not emulated.refusal
            for name in ("addresses", "words", "scratchpad"):
                np.testing.assert_array_equal(getattr(simulated, name), getattr(emulated, name), err_msg=name)
        return simulated
    return runs


def of_thresholds(values: list[int]) -> NDArray[np.uint8]:
    """A memory that begins with parameter entries that hold these 256 thresholds."""
    halves = np.array(values, np.int64).view(np.uint32).reshape(THRESHOLDS, 2, 1)
    memory = np.zeros(MEMORY_BYTES, np.uint8)
    data = np.repeat(halves, TINY.lanes, 2).ravel().view(np.uint8)
    memory[:data.size] = data
    return memory


def float_sum(terms: NDArray[np.float32]) -> int:
    """Adds the values in sequence in float32, like ONNX Runtime."""
    return int(np.add.accumulate(terms, dtype=np.float32)[-1])


@pytest.mark.parametrize(("side", "byte", "zero"), [
    (256, 127, -128), (256, -128, 127), (511, 126, -77), (LARGEST_WINDOW, 127, -128), (LARGEST_WINDOW, -128, 127)])
def test_the_largest_sums_of_an_average(run: Any, side: int, byte: int, zero: int) -> None:
    """The total reaches one threshold exactly and misses the next by one."""
    term = np.float32((byte - zero) * LARGEST_MULTIPLIER)
    total = float_sum(np.full(side * side, term, np.float32))
    assert abs(total) > 1 << 47
    memory = of_thresholds(sorted([-LATER] * 101 + [total, total + 1] + [LATER] * (THRESHOLDS - 103)))
    pool = Pool(kind=PoolKind.AVERAGE, height=1, width=1, destination=2000, source_height=side, source_width=side,
                taps_y=side, taps_x=side, multiplier=LARGEST_MULTIPLIER, source_zero=zero, release_parameters=1)
    scratchpad = np.full((TINY.activation_words, TINY.size), byte, np.int8)
    left = run([LoadParameters(entries=THRESHOLDS), pool], memory, scratchpad, emulates=False)
    np.testing.assert_array_equal(left.words, [[101 - 128] * TINY.size])


@pytest.mark.parametrize("seed", range(3))
def test_large_averages_of_any_bytes(run: Any, seed: int) -> None:
    """Every row of a window has the same words, so their order matters and the sum grows beyond 48 bits."""
    rng = np.random.default_rng(seed)
    side, zero, multiplier = 300, -128, int(rng.integers(1 << 23, 1 << 24))
    scratchpad = rng.integers(-128, 128, (TINY.activation_words, TINY.size)).astype(np.int8)
    scratchpad[:side] = rng.integers(100, 128, (side, TINY.size))
    terms = np.tile((scratchpad[:side].astype(np.int64) - zero) * multiplier, (side, 1)).astype(np.float32)
    totals = [float_sum(terms[:, channel]) for channel in range(TINY.size)]
    assert min(totals) > 1 << 47
    thresholds = [-LATER, *sorted(np.array([totals, np.array(totals) + 1]).ravel().tolist())]
    memory = of_thresholds(thresholds + [LATER] * (THRESHOLDS - len(thresholds)))
    pool = Pool(kind=PoolKind.AVERAGE, height=1, width=1, destination=2000, source_height=side, source_width=side,
                taps_y=side, taps_x=side, multiplier=multiplier, source_zero=zero, release_parameters=1)
    left = run([LoadParameters(entries=THRESHOLDS), pool], memory, scratchpad, emulates=False)
    np.testing.assert_array_equal(left.words[0], np.searchsorted(thresholds[1:], totals, side="right") - 128)


@pytest.mark.parametrize("byte", [-128, 127])
def test_the_largest_integer_sum(run: Any, byte: int) -> None:
    scale = encode_scale(127 / (128 * LARGEST_WINDOW ** 2)).word
    memory = np.zeros(MEMORY_BYTES, np.uint8)
    entry = np.array([0] * TINY.lanes + [scale] * TINY.lanes, np.uint32).view(np.uint8)
    memory[:entry.size * TINY.groups] = np.tile(entry, TINY.groups)
    pool = Pool(kind=PoolKind.SUM, height=1, width=1, destination=2000, source_height=LARGEST_WINDOW,
                source_width=LARGEST_WINDOW, taps_y=LARGEST_WINDOW, taps_x=LARGEST_WINDOW, release_parameters=1)
    left = run([LoadParameters(entries=TINY.groups), pool], memory,
               np.full((TINY.activation_words, TINY.size), byte, np.int8))
    assert abs(left.words[0, 0]) > 125


def adds(seed: int) -> list[dict[str, int]]:
    """Residual-add constants at the ends of their ranges."""
    rng = np.random.default_rng(seed)

    def either(*values: int) -> int:
        return int(rng.choice(values))

    plain = [{"a_offset": either(-256, 255), "b_offset": either(-256, 255), "ratio_a": either(0, 1 << 38, (1 << 44) - 1),
              "ratio_b": either(1, (1 << 44) - 1), "add_offset": either(-(1 << OFFSET - 1), (1 << OFFSET - 1) - 1, 0)}
             for _ in range(24)]
    products = [{"multiply": 1, "a_offset": either(*PRODUCT_OFFSETS), "b_offset": either(*PRODUCT_OFFSETS),
                 "ratio_a": either(1 << 38, (1 << 44) - 1), "ratio_b": (1 << 38) - either(1, 1 << 12, 1 << 37),
                 "product_zero": either(-256, 255)} for _ in range(16)]
    return [constants | {"swap": either(0, 1), "sum_offset": either(-256, 0, 255)} for constants in plain + products]


@pytest.mark.parametrize("seed", range(2))
def test_the_largest_residual_adds(run: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scratchpad = rng.integers(-128, 128, (TINY.activation_words, TINY.size)).astype(np.int8)
    extremes = np.array([-128, -127, -1, 0, 1, 126, 127], np.int8)
    scratchpad[:600] = rng.choice(extremes, (600, TINY.size))
    run([Elementwise(height=1, width=300, residual=300, destination=1000 + 300 * index, add=1, **constants)
         for index, constants in enumerate(adds(seed))], np.zeros(MEMORY_BYTES, np.uint8), scratchpad)


WALKS = {
    "down": {"height": 65535, "width": 1, "origin_y": -65536, "stride_y": 255},
    "down from the last row": {"height": 65535, "width": 1, "origin_y": 65535, "stride_y": 255, "dilation_y": 255,
                               "taps_y": 2},
    "across": {"height": 1, "width": 8192, "origin_x": -65536, "stride_x": 255, "source_width": 8000, "destination": 8192},
    "far taps": {"height": 1, "width": 2, "origin_x": -65536, "origin_y": -65536, "dilation_y": 255, "dilation_x": 65,
                 "taps_y": 300, "taps_x": 1023},
}


@pytest.mark.parametrize("name", WALKS)
def test_windows_that_reach_far(run: Any, name: str) -> None:
    """Positions far outside the source must not alias to positions inside."""
    scratchpad = np.random.default_rng(4).integers(-128, 128, (TINY.activation_words, TINY.size)).astype(np.int8)
    source = {"source_height": 65535, "source_width": 65535}
    run([Pool(**{"kind": PoolKind.MAXIMUM, "destination": 8000} | source | WALKS[name])],
        np.zeros(MEMORY_BYTES, np.uint8), scratchpad)


@pytest.mark.parametrize("fields", [
    {"height": 64, "width": 1, "origin_y": 65535, "stride_y": 255, "dilation_y": 255, "taps_y": 600},
    {"height": 64, "width": 1, "origin_y": -65536, "stride_y": 255, "dilation_y": 255, "taps_y": 300},
    {"height": 1, "width": 64, "origin_x": -65536, "stride_x": 255, "dilation_x": 255, "taps_x": 300},
    {"height": 8, "width": 8, "origin_y": -65536, "origin_x": -16000, "row_pitch": 0, "dilation_y": 255, "dilation_x": 250,
     "taps_y": 258, "taps_x": 3, "repeats": 3},
    {"height": 8, "width": 8, "origin_y": -65536, "row_pitch": 65535, "stride_y": 255, "plane_pitch": (1 << 20) - 1,
     "source_height": 0, "blocks": 600},
], ids=["below", "above", "left", "corner", "planes"])
def test_convolutions_that_reach_far(run: Any, fields: dict[str, int]) -> None:
    """Including sums of the largest products, -128 times -128."""
    convolve = Convolve(**{"source_height": 65535, "source_width": 9000, "padding": -128, "first": 1, "last": 1} | fields)
    check_convolve(run, convolve, convolve.tiles * TINY.size * LARGEST_PRODUCT)


@pytest.mark.parametrize(("tiles", "wraps"), [(32764, False), (2 * 16383, False), (3 * 16383, True)])
def test_sums_up_to_the_last_bit_and_beyond(run: Any, tiles: int, wraps: bool) -> None:
    """Sums wrap at 32 bits, in the array as in the emulator."""
    taps = {32764: 4}.get(tiles, tiles // 16383)
    convolve = Convolve(height=1, width=2, padding=-128, taps_y=taps, blocks=tiles // taps, first=1, last=1)
    largest = tiles * TINY.size * LARGEST_PRODUCT
    assert (largest >= 1 << 31) == wraps
    left = check_convolve(run, convolve, largest)
    assert (left.words < 0).all() if wraps else (left.words == 127).all()


def check_convolve(run: Any, convolve: Convolve, largest: int) -> Left:
    """Runs it with weights of -128, and drains it with a scale that maps ``largest`` to 127."""
    memory = np.full(1 << 20, 128, np.uint8)
    entry = np.array([0] * TINY.lanes + [encode_scale(127 / largest).word] * TINY.lanes, np.uint32).view(np.uint8)
    memory[MEMORY_BYTES:MEMORY_BYTES + entry.size * TINY.groups] = np.tile(entry, TINY.groups)
    scratchpad = np.random.default_rng(4).integers(-128, 128, (TINY.activation_words, TINY.size)).astype(np.int8)
    drain = Drain(height=convolve.height, width=convolve.width, destination=9000, destination_pitch=convolve.width,
                  release_parameters=1)
    weights = LoadWeights(address=2 * MEMORY_BYTES, words=convolve.tiles * TINY.size)
    return run([LoadParameters(address=MEMORY_BYTES, entries=TINY.groups), weights, convolve, drain], memory, scratchpad)
