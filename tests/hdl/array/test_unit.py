"""The ARRAY unit compared with numpy, for all shapes of the array."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from arrayloom.isa.instructions import Convolve
from arrayloom.isa.registers import Cause

SHAPES = [(4, 1, 1), (4, 2, 2), (4, 4, 4), (4, 4, 1), (4, 1, 4), (8, 1, 1), (8, 2, 4), (8, 8, 8), (8, 4, 8), (8, 8, 1)]


def plain(**fields: Any) -> Convolve:
    """A complete 1x1 convolution over a 5x4 source, changed by ``fields``."""
    base = Convolve(source=0, row_pitch=4, plane_pitch=20, source_height=5, source_width=4, height=5, width=4,
                    first=1, last=1)
    return replace(base, **fields)


def random_convolve(generator: np.random.Generator, **fields: Any) -> Convolve:
    """Any legal region, tap grid, stride, dilation and padding that fits the bench's memory and accumulators."""
    def pick(low: int, high: int) -> int:
        return int(generator.integers(low, high + 1))
    values = {
        "source": pick(0, 30), "source_height": pick(1, 8), "source_width": pick(1, 8), "plane_pitch": pick(0, 64),
        "row_pitch": pick(8, 10), "origin_y": pick(-3, 3), "origin_x": pick(-3, 3), "height": pick(1, 8),
        "width": pick(1, 8), "stride_y": pick(1, 3), "stride_x": pick(1, 3), "dilation_y": pick(1, 3),
        "dilation_x": pick(1, 3), "taps_y": pick(1, 3), "taps_x": pick(1, 3), "blocks": pick(1, 2),
        "repeats": pick(1, 3), "padding": pick(-128, 127), "first": 1, "last": 1,
    }
    return Convolve(**{**values, **fields})


def check(result: tuple[Any, list[Any]]) -> Any:
    outcome, expected = result
    assert len(outcome.banks) == len(expected)
    for found, wanted in zip(outcome.banks, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not outcome.illegal
    return outcome


@pytest.mark.parametrize(("size", "row_stage", "column_stage"), SHAPES)
def test_random_programs(run_array: Callable[..., Any], config_of: Callable[..., Any], size: int, row_stage: int,
                         column_stage: int) -> None:
    generator = np.random.default_rng(size * 100 + row_stage * 10 + column_stage)
    program = [random_convolve(generator) for _ in range(3)]
    outcome = check(run_array(config_of(size, row_stage, column_stage), program))
    assert not outcome.data_left
    assert outcome.cycles(Cause.COMPUTING) == sum(p.height * p.width * p.blocks * p.taps_y * p.taps_x * p.repeats
                                             for p in program)


@pytest.mark.parametrize(("size", "row_stage", "column_stage"), SHAPES)
def test_accumulates_over_instructions(run_array: Callable[..., Any], config_of: Callable[..., Any], size: int,
                                       row_stage: int, column_stage: int) -> None:
    generator = np.random.default_rng(7)
    region = {"height": 2, "width": 3}
    program = [random_convolve(generator, **region, first=first, last=last)
               for first, last in ((1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 1))]
    check(run_array(config_of(size, row_stage, column_stage), program))


@pytest.mark.parametrize(("size", "row_stage", "column_stage"), SHAPES)
@pytest.mark.parametrize("width", [1, 3])
def test_fewer_pixels_than_rows(run_array: Callable[..., Any], config_of: Callable[..., Any], size: int, row_stage: int,
                                column_stage: int, width: int) -> None:
    """A tile then takes exactly as long as its weights; only the first tile is already loaded."""
    tiles = 12
    program = [plain(height=1, width=width, source_width=width, taps_y=2, blocks=tiles // 4),
               plain(height=1, width=width, source_width=width, taps_x=2, blocks=tiles // 4)]
    outcome = check(run_array(config_of(size, row_stage, column_stage), program))
    assert (tiles - 2) * size + width < outcome.span <= (tiles - 1) * size + width


@pytest.mark.parametrize(("size", "row_stage", "column_stage"), SHAPES)
def test_no_bubbles(run_array: Callable[..., Any], config_of: Callable[..., Any], size: int, row_stage: int,
                    column_stage: int) -> None:
    """Pixels follow one another in every cycle, across boundaries of tiles and instructions."""
    program = [plain(taps_y=2, origin_y=-1), plain(repeats=2, first=1, last=0, height=2, width=4),
               plain(first=0, last=1, height=2, width=4, blocks=2)]
    outcome = check(run_array(config_of(size, row_stage, column_stage), program))
    assert outcome.span == outcome.cycles(Cause.COMPUTING) == 2 * 20 + 2 * 8 + 2 * 8


def test_slow_weights(run_array: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    config = config_of(4, 2, 2, weight_words=8)
    outcome = check(run_array(config, [plain(blocks=3), plain(taps_x=3)], weight_gap=15))
    assert outcome.cycles(Cause.WEIGHTS) > 0
    assert outcome.cycles(Cause.DRAINING) == 0


def test_slow_drain(run_array: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    outcome = check(run_array(config_of(4, 2, 2), [plain() for _ in range(5)], drain_gap=90))
    assert outcome.cycles(Cause.DRAINING) > 90
    assert outcome.cycles(Cause.WEIGHTS) == 0


def test_data_left(run_array: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    outcome, _ = run_array(config_of(4, 4, 4), [plain()], drain=False)
    assert outcome.data_left
    outcome, _ = run_array(config_of(4, 4, 4), [plain(last=0)], drain=False)
    assert outcome.data_left
    assert check(run_array(config_of(4, 4, 4), [plain()], spare_tiles=1)).data_left


def test_extreme_sums(config_of: Callable[..., Any], run_array: Callable[..., Any]) -> None:
    """The largest product, -128 * -128, in every row."""
    everything_outside = plain(source_height=0, padding=-128, repeats=3)
    check(run_array(config_of(8, 8, 8), [everything_outside]))


@pytest.mark.parametrize("fields", [
    {"height": 0}, {"width": 0}, {"taps_y": 0}, {"taps_x": 0}, {"blocks": 0}, {"repeats": 0},
    {"height": 13, "width": 5}, {"height": 65535, "width": 65535}, {"first": 0},
])
def test_illegal_fields(run_illegal: Callable[..., Any], config_of: Callable[..., Any], fields: dict[str, int]) -> None:
    outcome = run_illegal(config_of(4, 4, 4), [plain(**fields), plain()])
    assert len(outcome.illegal) == 1
    assert not outcome.retired and outcome.cycles(Cause.COMPUTING) == 0


def test_illegal_first_in_an_open_half(run_illegal: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    outcome = run_illegal(config_of(4, 4, 4), [plain(last=0), plain()])
    assert len(outcome.illegal) == 1 and len(outcome.retired) == 1


def test_illegal_number_of_pixels(run_illegal: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    """A bank continues with the number of pixels that it was begun with, in any shape."""
    config = config_of(4, 4, 4)
    begun = plain(height=2, width=6, last=0)
    again = replace(begun, first=0)
    for wrong in ({"width": 5}, {"width": 7}, {"height": 3}):
        outcome = run_illegal(config, [begun, again, replace(again, **wrong)])
        assert len(outcome.illegal) == 1 and len(outcome.retired) == 2
    outcome = run_illegal(config, [begun, replace(again, height=4, width=3), replace(again, height=1, width=12, last=1)])
    assert not outcome.illegal and len(outcome.retired) == 3


@pytest.mark.parametrize("fields", [
    {"source": 256 - 19}, {"source": (1 << 20) - 1}, {"row_pitch": 64}, {"row_pitch": 65535},
    {"blocks": 2, "plane_pitch": 237}, {"blocks": 2, "plane_pitch": (1 << 20) - 256}, {"source": 256, "origin_y": -4},
    {"source": 256, "origin_x": -3}, {"source": 255, "origin_y": -4, "origin_x": -2}], ids=str)
def test_words_beyond_the_scratchpad(run_illegal: Callable[..., Any], config_of: Callable[..., Any],
                                     fields: dict[str, int]) -> None:
    """At least one of the pixels read inside the source is among them."""
    config = config_of(4, 4, 4)
    assert config.activation_words == 256
    assert run_illegal(config, [plain(**fields)]).illegal


@pytest.mark.parametrize("fields", [
    {"source": 256 - 20}, {"row_pitch": 63}, {"blocks": 2, "plane_pitch": 236}, {"source": 256, "source_height": 0},
    {"source": 255, "origin_y": -4, "origin_x": -3}, {"source": 255, "row_pitch": 65535, "origin_y": -9}])
def test_words_up_to_the_end_of_the_scratchpad(run_array: Callable[..., Any], config_of: Callable[..., Any],
                                               fields: dict[str, int]) -> None:
    check(run_array(config_of(4, 4, 4), [plain(**fields)]))


def test_largest_region_is_legal(run_array: Callable[..., Any], config_of: Callable[..., Any]) -> None:
    check(run_array(config_of(4, 2, 2), [plain(height=16, width=4)]))
