"""Parts of the back end, each compared with a plain version of its purpose."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from arrayloom.compiler.backend.add import first_mismatch
from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.dependencies import NEVER, HazardTracker, Tokens
from arrayloom.compiler.backend.epilogue import (
    IDENTITY,
    AddConstants,
    Epilogue,
    Residual,
    clamp_lookup_table,
    compose,
    is_identity,
    lookup_table_page,
    signed_lookup_table,
)
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.operations import Average, Convolution, Taps, selection
from arrayloom.compiler.backend.parameters import thresholds
from arrayloom.compiler.backend.row_tiles import cut_regions, cut_row_tiles
from arrayloom.compiler.backend.stream import Draft, coalesce
from arrayloom.compiler.backend.weights import arrange, split
from arrayloom.isa.arithmetic import average_result, average_step, average_terms, encode_add, split_float
from arrayloom.isa.config import load_config
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Unit, Units
from arrayloom.isa.instructions import Convolve, LoadWeights


def _convolution(weight: np.ndarray, group: int = 1) -> Convolution:
    outputs = weight.shape[0]
    return Convolution(
        Taps(weight.shape[2:]),
        weight=weight,
        bias=np.zeros(outputs, np.int32),
        scale=np.ones(outputs, np.float32),
        padding=0,
        zero_point=0,
        group=group,
    )


@pytest.mark.parametrize(
    ("first", "last", "width", "depth"), [(0, 56, 56, 256), (3, 9, 300, 64), (0, 1, 1, 16), (5, 6, 17, 16)]
)
def test_regions_cover_every_pixel_once_within_the_accumulators(first: int, last: int, width: int, depth: int) -> None:
    seen = np.zeros((last, width), int)
    for region in cut_regions(first, last, width, depth):
        assert region.pixels <= depth
        seen[region.y : region.y + region.height, region.x : region.x + region.width] += 1
        assert region.closes_rows == (region.x + region.width == width)
    assert (seen[first:] == 1).all()
    assert not seen[:first].any()


@pytest.mark.parametrize(("height", "rows", "head"), [(56, 20, 4), (7, 1, 4), (5, 100, 5), (112, 112, 2)])
def test_row_tiles_cover_every_row_once_and_grow_gently(height: int, rows: int, head: int) -> None:
    row_tiles = list(cut_row_tiles(height, rows, head))
    assert [row for first, last in row_tiles for row in range(first, last)] == list(range(height))
    sizes = [last - first for first, last in row_tiles]
    assert max(sizes) <= rows
    assert all(second <= 2 * first for first, second in itertools.pairwise(sizes))


def test_split_weights_sum_up_and_use_as_few_parts_as_possible() -> None:
    weights = np.arange(-255, 256).astype(np.int16).reshape(-1, 1, 1, 1)
    assert (sum(part.astype(np.int16) for part in split(weights)) == weights).all()
    assert [len(split(np.full((1, 1, 1, 1), value, np.int16))) for value in (127, 128, 254, 255, -128, -129)] == [
        1,
        2,
        2,
        3,
        1,
        2,
    ]


@pytest.mark.parametrize("group", [1, 3, 6])
def test_tiles_multiply_as_the_weights_do(group: int) -> None:
    """A pixel in slots through the tiles gives the convolution's sums in slots."""
    rng = np.random.default_rng(group)
    channels, outputs, size = 6, 12, 4
    weight = rng.integers(-255, 256, (outputs, channels // group, 1, 1)).astype(np.int16)
    inputs, results = np.array([0, 1, 4, 5, 6, 9]), np.array([0, 1, 2, 4, 5, 8, 9, 10, 11, 12, 13, 17])
    weights = arrange(_convolution(weight, group), inputs, results, 3, 5, size)
    x = rng.integers(-128, 128, channels)
    spread = np.zeros((3, size), int)
    spread.reshape(-1)[inputs] = x
    got = np.zeros(5 * size, int)
    for index, run in ((index, run) for index, block in enumerate(weights.blocks) for run in block.runs):
        tiles = weights.data[run.offset : run.offset + run.size].view(np.int8)
        tiles = tiles.reshape(run.blocks, weights.repeats, size, size).sum(1, dtype=int)
        for tile, part in zip(tiles, spread[run.first :], strict=False):
            got[index * size : (index + 1) * size] += part @ tile
    depth, share = channels // group, outputs // group
    expected = [int((weight[m, :, 0, 0] * x[m // share * depth :][:depth]).sum()) for m in range(outputs)]
    assert got[results].tolist() == expected
    assert not np.delete(got, results).any()


def test_a_selection_needs_only_the_blocks_it_reads() -> None:
    weights = arrange(selection(np.array([9, -1, 5, 8]), 12, Taps()), np.arange(12), np.arange(4), 6, 2, 2)
    runs = [[(run.first, run.blocks) for run in block.runs] for block in weights.blocks]
    assert runs == [[(4, 1)], [(2, 1), (4, 1)]]


def test_taps_that_a_block_does_not_depend_on_are_left_out() -> None:
    weight = np.ones((4, 4, 3, 3), np.int16)
    weight[:2, :2, :, 1:] = weight[:2, 2:, 0] = 0
    weight[2:] = 0
    weights = arrange(_convolution(weight), np.arange(4), np.arange(4), 2, 2, 2)
    runs = [[(run.first, run.blocks, run.rows, run.columns) for run in block.runs] for block in weights.blocks]
    assert runs == [[(0, 1, (0, 3), (0, 1)), (1, 1, (1, 3), (0, 3))], [(0, 1, (0, 1), (0, 1))]]
    assert weights.data.size == (3 + 6 + 1) * 2 * 2


def test_lookup_tables_are_ordered_by_signed_byte() -> None:
    raw = np.arange(256, dtype=np.uint8)[None]
    assert is_identity(signed_lookup_table(raw, np.dtype(np.uint8)))
    assert is_identity(signed_lookup_table(raw.view(np.int8), np.dtype(np.int8)))
    doubled = np.clip(IDENTITY.astype(int) * 2, -128, 127).astype(np.int8)
    both = compose(doubled, clamp_lookup_table(-10, 20))
    assert both[0][128 + np.array([-128, -5, 3, 100])].tolist() == [-10, -10, 6, 20]


def test_a_page_per_channel_has_a_column_a_lane() -> None:
    table = np.stack([np.full(256, channel, np.int8) for channel in range(3)])
    page = lookup_table_page(table, np.array([2, -1, 0, 1]), 4).view(np.int8).reshape(256, 4)
    assert (page == [2, 0, 0, 1]).all()


@pytest.mark.parametrize("seed", range(12))
def test_thresholds_give_the_float_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x_scale = np.float32(2.0 ** rng.integers(-8, -3) if seed % 3 else rng.uniform(0.001, 0.1))
    y_scale = [x_scale, np.float32(2.0 ** rng.integers(-8, -3)), np.float32(rng.uniform(0.001, 0.1))][seed % 3]
    unsigned, count = bool(seed % 2), int(rng.integers(1, 10))
    x_zero, y_zero = (int(value) for value in rng.integers(-128, 128, 2))
    operation = Average(
        Taps((3, 3)),
        x_scale=x_scale,
        x_zero=x_zero,
        y_scale=y_scale,
        y_zero=y_zero,
        unsigned=unsigned,
        count_include_pad=False,
    )
    x = rng.integers(-128, 128, (count, 4000))
    total, real = np.zeros(4000, np.int64), np.zeros(4000, np.float32)
    for row in x:
        total = average_step(total, average_terms(row, x_zero, split_float(float(x_scale))[0]))
        real = real + (row - x_zero).astype(np.float32) * x_scale
    shift = 128 if unsigned else 0
    raw = np.rint(real / np.float32(count) / y_scale + np.float32(y_zero + shift))
    expected = np.clip(raw - shift, -128, 127).astype(int)
    assert (average_result(total, thresholds(operation, count)) == expected).all()


@pytest.mark.parametrize("seed", range(6))
def test_constants_of_the_add_are_proven_and_wrong_ones_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratios = tuple(float(np.float32(value)) for value in (*rng.uniform(0.05, 2, 2), rng.uniform(-100, 100)))
    ratio_a, ratio_b, offset = encode_add(*ratios)
    shift = 128 * (seed % 2)
    constants = AddConstants(ratio_a, ratio_b, offset, shift, shift, -shift)
    assert first_mismatch(ratios, constants) is None
    wrong = AddConstants(ratio_a + (1 << 31), ratio_b, offset, shift, shift, -shift)
    assert first_mismatch(ratios, wrong) is not None


def test_the_hazard_tracker_knows_the_last_of_each_unit() -> None:
    hazards = HazardTracker(40)
    hazards.note_write(Unit.POST, Span(0, 3, rows=2, row_pitch=5, blocks=2, block_pitch=20), 7)
    hazards.note_write(Unit.LOAD, Span(6, 2), 9)
    hazards.note_read(Unit.ARRAY, Span(20, 10), 11)
    assert hazards.before_read(Span(3, 2)) == {Unit.POST: NEVER, Unit.LOAD: NEVER}
    assert hazards.before_read(Span(5, 3)) == {Unit.POST: 7, Unit.LOAD: 9}
    assert hazards.before_write(Unit.POST, Span(5, 16)) == {Unit.LOAD: 9, Unit.ARRAY: 11}
    assert hazards.last_writes(Unit.POST, Span(0, 1, blocks=2, block_pitch=4)).tolist() == [7, NEVER]


def test_what_a_needed_instruction_knew_is_not_waited_for_again() -> None:
    tokens = Tokens()
    tokens.append(Unit.LOAD, {})
    tokens.append(Unit.POST, {Unit.LOAD: 0})
    tokens.append(Unit.ARRAY, {Unit.POST: 1, Unit.LOAD: 0})
    tokens.append(Unit.POST, {Unit.POST: 1})
    tokens.append(Unit.POST, {Unit.POST: 1})
    assert tokens.wait == [0, Units.LOAD, Units.POST, Units.POST, 0]
    assert tokens.signal == [Units.POST, Units.ARRAY, 0, 0, 0]


def test_a_drain_knows_what_its_convolve_knew() -> None:
    tokens = Tokens()
    tokens.append(Unit.LOAD, {})
    tokens.append(Unit.ARRAY, {Unit.LOAD: 0})
    tokens.append(Unit.POST, {Unit.LOAD: 0, Unit.ARRAY: 1}, after=1)
    assert tokens.wait == [0, Units.LOAD, 0]


def test_no_counter_is_asked_to_hold_more_tokens_than_it_can() -> None:
    """600 results, then 600 readers that each need one of them."""
    tokens = Tokens()
    for _ in range(600):
        tokens.append(Unit.POST, {})
    for index in range(600):
        tokens.append(Unit.ARRAY, {Unit.POST: index})
    assert 0 < sum(signal == Units.ARRAY for signal in tokens.signal) < 255
    assert tokens.signal.count(Units.ARRAY) == tokens.wait.count(Units.POST)
    assert tokens.signal[599] == Units.ARRAY


def _weights(address: int, words: int, **masks: int) -> Draft:
    return Draft(LoadWeights(address=address, words=words, **masks), 0, Section.CONSTANTS)


def test_loads_that_continue_each_other_are_joined_within_half_of_their_fifo() -> None:
    config = load_config("tiny")
    most = config.weight_words // 2
    drafts = [_weights(0, most - 8), Draft(Convolve(), 0), _weights((most - 8) * config.size, 8),
              _weights(most * config.size, 8)]
    assert coalesce(drafts, config) == [_weights(0, most), Draft(Convolve(), 0), _weights(most * config.size, 8)]


def test_a_load_that_others_wait_for_is_not_joined_to_an_earlier_one() -> None:
    config = load_config("tiny")
    drafts = [_weights(0, 8), _weights(8 * config.size, 8, signal=Units.ARRAY), _weights(16 * config.size, 8)]
    assert coalesce(drafts, config) == [_weights(0, 8), _weights(8 * config.size, 16, signal=Units.ARRAY)]


def test_a_field_that_does_not_fit_is_refused_when_the_draft_is_encoded() -> None:
    with pytest.raises(EncodingError, match=r"load_weights: words = 16777216: must be from 0 to 16777215"):
        _weights(0, 1 << 24).instruction.encode()


def test_a_clamp_after_an_epilogue_is_a_part_of_it() -> None:
    add = Residual("other", swap=False, constants=AddConstants(0, 0, 0, 0, 0, 0), low=-100, high=50)
    assert str(Epilogue(-20, 90).clamped(0, 100)) == "clamp 0..90"
    clamped = Epilogue(-20, 90, add).clamped(60, 70)
    assert (clamped.low, clamped.high, clamped.residual) == (-20, 90, replace(add, low=60, high=60))
    assert str(clamped) == "clamp -20..90 | add other"
    table = Epilogue(lookup_table=IDENTITY).clamped(-10, 20).lookup_table
    assert table is not None and (table == clamp_lookup_table(-10, 20)).all()
