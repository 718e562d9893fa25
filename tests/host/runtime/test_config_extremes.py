"""Configurations at both ends of every field's range: they elaborate, and programs run alike on RTL and emulator."""


from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, Shape
from config_ends import ROWS, config_of, limits
from covering import Row, pairs_of
from word_runs import DATA, program_of_words, run_on_emulator, run_on_rtl

from arrayloom.hdl.interfaces import sink_signature
from arrayloom.hdl.top import Accelerator
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.arithmetic import encode_scale
from arrayloom.isa.config import PARAMETER_BYTES, Config, ConfigError
from arrayloom.isa.fields import Instruction, Units
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    THRESHOLDS,
    Convolve,
    Drain,
    Elementwise,
    End,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
    Store,
)

SIZES = (4, 128)
TILES = 25      # size of the program's weights


def cases(size: int, quick: int, first: Callable[[Row], int]) -> list[Any]:
    """The configurations of a size, those with the largest value of ``first`` at the front; all after ``quick`` are slow."""
    ordered = sorted(ROWS, key=first, reverse=True)
    configs = [config_of(size, row) for row in ordered]
    return [pytest.param(config, id=config.name, marks=() if index < quick else pytest.mark.slow)
            for index, config in enumerate(configs)]


def weights(row: Row) -> int:
    return row["weight_words"]


def stages(row: Row) -> int:
    """The larger the stages, the fewer blocks the array has."""
    return row["column_stage"] + row["row_stage"]


def test_the_array_covers_all_pairs() -> None:
    met = {pair for row in ROWS for pair in pairs_of(row)}
    count = len(ROWS[0])
    assert count == len(fields(Config)) - 5     # all fields except name, size and those of the optional units
    assert len(met) == 4 * count * (count - 1) // 2
    assert len(ROWS) < 10


@pytest.mark.parametrize("size", SIZES)
def test_these_are_the_limits(size: int) -> None:
    with pytest.raises(ConfigError, match="size = "):
        config_of({4: 2, 128: 256}[size], ROWS[0])
    middle = {name: ends[0] for name, ends in limits(size).items()}
    for name, (least, most) in limits(size).items():
        for legal in (least, most):
            Config(name="legal", size=size, **middle | {name: legal})
        for illegal in (least // 2, 2 * most):
            with pytest.raises(ConfigError, match=f"^{name} = {illegal}: "):
                Config(name="illegal", size=size, **middle | {name: illegal})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "".join(map(str, row.values())))
def test_the_count_of_free_words_holds_every_store(size: int, row: Row) -> None:
    config = config_of(size, row)
    bits = Shape.cast(sink_signature(config).members["free"].shape).width
    rooms = (config.weight_words, config.parameter_entries * config.parameter_beats, config.table_pages * LOOKUP_TABLE_WORDS)
    assert max(rooms) < 1 << bits


@pytest.mark.parametrize("config", [*cases(4, len(ROWS), weights), *cases(128, 1, stages)])
def test_configurations_are_made(config: Config) -> None:
    Fragment.get(Accelerator(config), None)


def instructions(config: Config) -> list[Instruction]:
    """Instructions of all kinds for 256 words of scratchpad and banks of 16 pixels; more tiles than the least FIFO
    holds."""
    size, groups = config.size, config.groups
    last = {"wait": Units.POST}
    region = {"height": 4, "width": 4, "destination_pitch": 4}
    source = {"source_height": 4, "source_width": 4, "row_pitch": 4}
    adds = {"add": 1, "ratio_a": 1 << 37, "ratio_b": 1 << 37, "residual": 16, "residual_pitch": 4}
    window = source | {"taps_y": 3, "taps_x": 2, "origin_y": -1, "origin_x": -1, "destination_pitch": 4} | region
    return [
        LoadActivations(address=0, destination=0, words=64, rows=1, signal=Units.ARRAY),
        LoadLookupTable(address=0), LoadParameters(address=DATA, entries=groups),
        LoadWeights(address=0, words=TILES * size),
        Convolve(**source, height=4, width=4, taps_y=5, taps_x=5, origin_y=-2, origin_x=-2, padding=3, first=1, last=1,
                 wait=Units.LOAD),
        Drain(**region, **adds, destination=64, lookup_table=1, release_lookup_table=1, release_parameters=1, zero_point=-3),
        LoadParameters(address=DATA, entries=groups), LoadParameters(address=DATA, entries=THRESHOLDS),
        Elementwise(**region, **adds, source=64, source_pitch=4, destination=80, **last),
        Pool(kind=PoolKind.MAXIMUM, **window, source=80, destination=96, **last),
        Pool(kind=PoolKind.SUM, **window, source=64, destination=112, release_parameters=1, **last),
        Pool(kind=PoolKind.AVERAGE, **window, source=64, destination=config.activation_words - 16, multiplier=1 << 23,
             source_zero=-5, release_parameters=1, signal=Units.STORE, **last),
        Store(address=0, source=64, words=64, rows=1, wait=Units.POST),
        Store(address=64 * size, source=config.activation_words - 16, words=16, rows=1), End()]


def check(config: Config) -> None:
    """Runs the program on both, and compares memory and scratchpad."""
    rng = np.random.default_rng(1)
    weights_end = TILES * config.size ** 2
    memory = rng.integers(0, 256, max(DATA + PARAMETER_BYTES * config.lanes * THRESHOLDS, weights_end) + 4096, np.uint8)
    scales = [encode_scale(2.0**-9).word] * config.lanes
    entry = np.array([*range(config.lanes), *scales], np.uint32).view(np.uint8)
    memory[DATA:DATA + entry.size * THRESHOLDS] = np.tile(entry, THRESHOLDS)
    scratchpad = np.zeros((config.activation_words, config.size), np.int8)
    program = program_of_words(config, [int.from_bytes(one.encode(), "little") for one in instructions(config)], memory.size)
    simulated = run_on_rtl(simulator_of(config), program, memory, scratchpad)
    emulated = run_on_emulator(config, program, memory, scratchpad)
    assert (emulated.refusal, simulated.refusal) == ("", "")
    for name in ("addresses", "words", "scratchpad", "memory"):
        np.testing.assert_array_equal(getattr(simulated, name), getattr(emulated, name), err_msg=name)
    assert len(np.unique(emulated.words)) > 10


@pytest.mark.parametrize("config", cases(4, 2, weights))
def test_a_program_runs(config: Config) -> None:
    check(config)


@pytest.mark.slow
def test_a_program_runs_on_the_largest_array() -> None:
    """In its fewest blocks: that simulator takes ten minutes to build, and one with more blocks several times as long."""
    check(config_of(max(SIZES), max(ROWS, key=stages)))
