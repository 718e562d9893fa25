"""Attribution of cycles to layers and causes, counted cycle by cycle on made-up runs of a real program."""

from dataclasses import replace

import numpy as np
import pytest
from timelines import counters, made_up, per_cycle, words

from arrayloom.compiler import compile_model
from arrayloom.host.analysis.errors import ProfileError
from arrayloom.host.analysis.profile.attribution import (
    OUTSIDE,
    START_UP,
    WIND_DOWN,
    Rows,
    attribute,
    binding_producers,
    check_counters,
    durations,
    end_cycles,
)
from arrayloom.host.analysis.profile.page_timeline import edges, fold
from arrayloom.host.analysis.profile.roofline import Roofline
from arrayloom.host.analysis.profile.run_profile import ARRAY, PARTIAL, Profile
from arrayloom.host.analysis.profile.trace_events import coalesce
from arrayloom.host.models import digits
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Unit, Units, encode_all
from arrayloom.isa.instructions import Convolve, Drain, End, LoadActivations, LoadWeights
from arrayloom.isa.program import Layer, Program
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline, Track, Traffic


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, "tiny")


@pytest.fixture(scope="module")
def profile(program: Program) -> Profile:
    timeline, report = made_up(program)
    return Profile.of(program, report, timeline)


def test_every_cycle_belongs_to_one_row_and_cause(program: Program) -> None:
    timeline, _ = made_up(program, seed=1)
    rows = Rows(program)
    found = attribute(timeline, rows, list(program))
    for unit, track in timeline.tracks.items():
        at, causes = (per_cycle(track, values, timeline.cycles) for values in (track.instructions, track.causes))
        expected = np.zeros_like(found[unit].causes)
        begun = False
        for instruction, cause in zip(at, causes, strict=True):
            begun |= bool(instruction >= 0)
            outside = rows.index(WIND_DOWN if begun else START_UP)
            expected[rows.of_instruction[instruction] if instruction >= 0 else outside, cause] += 1
        assert np.array_equal(found[unit].causes, expected)
        assert expected.sum() == timeline.cycles


def test_rows_hold_each_instruction_once(program: Program) -> None:
    rows = Rows(program)
    names = [row.name for row in rows.rows]
    assert names[-3:] == list(OUTSIDE)
    assert len(names) == len(set(names))
    assert set(rows.of_instruction[:-1]) == set(range(rows.count))      # every instruction but the end belongs to a layer
    assert rows.rows[rows.of_instruction[-1]].name == WIND_DOWN
    add = next(row for row in rows.rows if row.name == "Conv_4_quant")
    assert [layer.name for layer in add.fused] == ["Add_5_quant"]
    assert add.operator == "QLinearConv+QLinearAdd"
    assert sum(row.macs for row in rows.rows) == program.macs


def test_interleaved_layers_are_separated(program: Program) -> None:
    """The pooling runs between the pieces of the convolution before it."""
    rows = Rows(program)
    pool = next(layer for layer in program.layers if layer.operator == "QLinearGlobalAveragePool")
    lead = next(layer for layer in program.layers if layer.name == "Conv_15_quant")
    assert len(pool.runs) > 1
    assert lead.first < pool.first < lead.last
    for index, instruction in enumerate(program):
        if lead.first <= index < pool.last and instruction.UNIT is Unit.POST:
            name = rows.rows[rows.of_instruction[index]].name
            assert name == (pool.name if instruction.mnemonic() == "pool" else lead.name)


def test_an_instruction_of_no_layer_has_a_row_of_its_own(program: Program) -> None:
    shorter = replace(program, layers=[layer for layer in program.layers if layer.name != "Gemm_20_quant"])
    timeline, report = made_up(shorter)
    layer = next(layer for layer in Profile.of(shorter, report, timeline).layers if layer.name == "(no layer)")
    assert layer.array_cycles > 0
    assert layer.macs == 0


def test_sums_are_exact(profile: Profile) -> None:
    for unit, causes in profile.units.items():
        assert sum(causes.values()) == profile.cycles, unit
    assert sum(layer.array_cycles for layer in profile.layers) == profile.cycles
    assert sum(profile.lost.values()) == pytest.approx(profile.cycles - profile.ideal_cycles)
    for layer in profile.layers:
        assert sum(layer.lost.values()) == pytest.approx(layer.array_cycles - layer.ideal_cycles)
        for unit, producers in layer.token_waits.items():
            assert sum(producers.values()) <= layer.units[unit]["token"]


def test_spans_are_from_the_first_to_the_last_computing_cycle(profile: Profile) -> None:
    track = profile.timeline.tracks[ARRAY]
    rows = per_cycle(track, profile.rows.of_segments(track.instructions), profile.cycles)
    computing = per_cycle(track, track.causes, profile.cycles) == Cause.COMPUTING
    for number, row in enumerate(profile.rows.rows[:profile.rows.count]):
        cycles = np.flatnonzero(computing & (rows == number))
        layer = next(layer for layer in profile.layers if layer.name == row.name)
        assert layer.span == ((cycles[0], cycles[-1] + 1) if cycles.size else None)


def _small() -> list:
    """LOAD gives two tokens, one to each Convolve; the second Convolve also waits for POST."""
    return [LoadActivations(signal=Units.ARRAY), LoadWeights(), Convolve(wait=Units.LOAD, first=1, last=1),
            Drain(signal=Units.ARRAY), LoadActivations(signal=Units.ARRAY, wait=Units.LOAD),
            Convolve(wait=Units.LOAD | Units.POST, first=1, last=1), Drain(), End()]


@pytest.mark.parametrize(("post_ends", "expected"), [(50, "LOAD"), (90, "POST")])
def test_the_producer_that_came_last_is_named(post_ends: int, expected: str) -> None:
    def track(*segments: tuple[int, int, int]) -> Track:
        starts, causes, instructions = zip(*segments, strict=True)
        return Track(np.array(starts), np.array(causes, np.uint8), np.array(instructions, np.int32))

    work, idle, token = Cause.COMPUTING, Cause.IDLE, Cause.TOKEN
    tracks = {
        "FETCH": track((0, work, 0), (20, idle, -1)),
        "LOAD": track((0, work, 0), (10, work, 1), (20, work, 4), (70, idle, -1)),
        "ARRAY": track((0, idle, -1), (5, token, 2), (12, work, 2), (30, token, 5), (100, work, 5), (120, idle, -1)),
        "POST": track((0, idle, -1), (30, work, 3), (post_ends, idle, 6), (125, idle, -1)),
        "STORE": track((0, idle, -1)),
    }
    timeline = Timeline(130, tracks, Traffic(np.array([0]), np.array([0]), np.array([0])))
    instructions = _small()
    units = list(tracks)
    producers = binding_producers(timeline, instructions)
    assert producers[2] == units.index("LOAD")
    assert producers[5] == units.index(expected)
    assert producers[3] == -1
    layer = Layer("one", "Conv", ((0, 7),), 10)
    program = replace(compile_model(digits.MODEL, "tiny"), layers=[layer],
                      instructions=encode_all(list(instructions)))
    waits = attribute(timeline, Rows(program), instructions)["ARRAY"].producers[0]
    both = {"LOAD": 7, expected: 70} if expected != "LOAD" else {"LOAD": 77}
    assert {unit: count for unit, count in zip(units, waits, strict=True) if count} == both


def test_ends_of_instructions() -> None:
    track = Track(np.array([0, 3, 9, 20]), np.zeros(4, np.uint8), np.array([-1, 2, 5, -1], np.int32))
    assert end_cycles(track, np.array([2, 4, 5]), 30).tolist() == [9, 9, 20]


def test_counters_that_differ_are_refused(program: Program) -> None:
    timeline, report = made_up(program)
    found = attribute(timeline, Rows(program), list(program))
    wrong = counters(timeline)
    check_counters(found, wrong)
    wrong["POST"]["TOKEN"] += 1
    with pytest.raises(ProfileError, match=r"POST: [\d,]+ cycles of token in the timeline"):
        check_counters(found, wrong)
    del wrong["FETCH"]
    with pytest.raises(ProfileError, match="counters of LOAD, ARRAY, POST, STORE"):
        check_counters(found, wrong)
    with pytest.raises(ProfileError, match="the run's registers"):
        Profile.of(program, replace(report, cycles=timeline.cycles + 1), timeline)


@pytest.mark.parametrize("starts", [[1, 5], [0, 5, 5], [0, 40]])
def test_segments_with_a_gap_are_refused(starts: list[int]) -> None:
    track = Track(np.array(starts), np.zeros(len(starts), np.uint8), np.zeros(len(starts), np.int32))
    with pytest.raises(ProfileError, match="do not cover"):
        durations(track, 40)


def test_traffic_of_layers_sums_to_what_the_bus_counted(program: Program, profile: Profile) -> None:
    read, written = (count * program.configuration.size for count in words(program))
    assert sum(layer.traffic.read for layer in profile.layers) + profile.memory.instructions == read
    assert sum(layer.traffic.written for layer in profile.layers) == written == profile.memory.bytes_written
    first = profile.layers[0].traffic
    assert first.activations > 0
    assert first.weights > 0
    timeline, report = made_up(program)
    with pytest.raises(ProfileError, match="the bus counted"):
        Profile.of(program, replace(report, words_written=(report.words_written or 0) + 1), timeline)


def test_roofline() -> None:
    roof = Roofline.of(PRESETS["32x32"])
    assert (roof.multipliers, roof.bus, roof.ridge) == (1024, 32, 32)
    assert roof.intensity(6400, 100, 64) == 64
    assert roof.ceiling(64) == 1024
    assert roof.ceiling(4) == 128
    assert (roof.bound(31.9), roof.bound(32), roof.bound(None)) == ("bus", "array", None)
    assert roof.intensity(0, 5, 5) is None


def test_partial_use_of_the_array_is_what_computing_exceeds_the_ideal(profile: Profile) -> None:
    layer = next(layer for layer in profile.layers if layer.name == "Conv_0_quant")
    assert layer.lost[PARTIAL] == layer.units[ARRAY]["computing"] - layer.macs / 16


def test_folded_columns_are_exact(profile: Profile) -> None:
    borders = edges(profile.cycles, 100)
    assert (borders[0], borders[-1], len(borders)) == (0, profile.cycles, 101)
    track = profile.timeline.tracks["POST"]
    causes = per_cycle(track, track.causes, profile.cycles)
    folded = fold(profile.timeline, "POST", borders)
    for begin, end, counts in zip(borders, borders[1:], folded, strict=False):
        assert counts.tolist() == np.bincount(causes[begin:end], minlength=len(Cause)).tolist()


@pytest.mark.parametrize("shortest", [1, 16, 1000])
def test_merged_segments_keep_their_cycles(profile: Profile, shortest: int) -> None:
    track = profile.timeline.tracks["POST"]
    merged = coalesce(track, durations(track, profile.cycles), shortest)
    assert merged.lengths.sum() == profile.cycles
    assert (merged.starts[1:] == np.cumsum(merged.lengths)[:-1]).all()
    borders = np.flatnonzero(np.diff(track.instructions)) + 1
    assert set(track.starts[borders]) <= set(merged.starts)     # no slice reaches into the next instruction
    for cause in Cause:
        assert sum(one.get(cause, 0) for one in merged.merged) == profile.units["POST"][cause.name.lower()]
    assert (len(merged.starts) == len(track.starts)) == (shortest == 1)
