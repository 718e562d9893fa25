"""The unit's rates, causes and refusals; and every preset converts."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil

from arrayloom.hdl.post import Post
from arrayloom.hdl.post.stages import RESULT
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import FIELD_BYTES
from arrayloom.isa.instructions import Drain, Elementwise, Pool, PoolKind
from arrayloom.isa.registers import Cause

TINY = PRESETS["tiny"]
CONFIGS = {lanes: replace(TINY, name=f"{lanes} lanes", lanes=lanes) for lanes in (1, 2, 4)}
HEIGHT, WIDTH = 4, 10
WORDS = HEIGHT * WIDTH
SUM = {"add": 1, "residual": 900, "residual_pitch": 11, "ratio_a": 1 << 38, "ratio_b": 1 << 37}


def _activations(config: Config) -> np.ndarray:
    return np.random.default_rng(5).integers(-128, 128, (config.activation_words, config.size)).astype(np.int8)


def _entries(config: Config) -> np.ndarray:
    entries = np.zeros((config.groups, 2, config.lanes), np.uint32)
    entries[:, 1] = 1 << 23 | 23 << 24
    return entries


def _region(index: int) -> dict[str, int]:
    return {"destination": 2000 + WORDS * index, "destination_pitch": WIDTH, "height": HEIGHT, "width": WIDTH}


def _drain(config: Config, job, index: int, **fields: int):
    sums = np.random.default_rng(index).integers(-300, 300, (WORDS, config.size)).astype(np.int32)
    return job(Drain(**_region(index), **fields, release_parameters=1), sums=sums, parameters=_entries(config))


@pytest.mark.parametrize("lanes", CONFIGS)
def test_a_cycle_lies_between_drains(check, job, lanes: int) -> None:
    config = CONFIGS[lanes]
    run = check(config, [_drain(config, job, index) for index in range(5)], _activations(config))
    spacing = np.diff(run.retired[1:])
    assert set(spacing) == {WORDS * config.groups + 1 + (config.groups == 1)}   # the next bank is visible a cycle later


@pytest.mark.parametrize("lanes", CONFIGS)
def test_a_residual_costs_a_drain_its_first_read(check, job, lanes: int) -> None:
    config = CONFIGS[lanes]
    run = check(config, [_drain(config, job, index, **SUM) for index in range(5)], _activations(config))
    assert max(np.diff(run.retired[1:])) <= WORDS * config.groups + 8


@pytest.mark.parametrize("lanes", CONFIGS)
def test_vectors_take_as_many_cycles_as_groups_or_reads(check, job, lanes: int) -> None:
    config = CONFIGS[lanes]
    plain = [job(Elementwise(**_region(index), source=0, source_pitch=WIDTH)) for index in range(4)]
    assert set(np.diff(check(config, plain, _activations(config)).retired[1:])) == {WORDS * config.groups + 1}
    added = [job(Elementwise(**_region(index), source=0, source_pitch=WIDTH, **SUM)) for index in range(4)]
    retired = check(config, added, _activations(config)).retired
    assert retired[-1] - retired[0] <= 3 * (WORDS * max(config.groups, 2) + 2)


@pytest.mark.parametrize("kind", [PoolKind.MAXIMUM, PoolKind.SUM])
def test_pools_read_a_tap_a_cycle(check, job, kind: PoolKind) -> None:
    parameters = _entries(TINY) if kind == PoolKind.SUM else None
    jobs = [job(Pool(**_region(index), kind=kind, source=0, row_pitch=30, source_height=30, source_width=30, taps_y=4,
                     taps_x=4, release_parameters=1), parameters=parameters) for index in range(3)]
    spacing = np.diff(check(TINY, jobs, _activations(TINY)).retired[1:])
    overhead = 2 if kind == PoolKind.MAXIMUM else 10 * WORDS   # sums are held until the lanes have taken them
    assert WORDS * 16 <= max(spacing) <= WORDS * 16 + overhead


def test_a_retired_instruction_has_taken_the_latency_of_its_stages(check, job) -> None:
    run = check(TINY, [job(Elementwise(destination=3000, destination_pitch=1, height=1, width=1, source=0, source_pitch=1))],
                _activations(TINY))
    assert run.retired[0] >= RESULT
    assert run.causes[Cause.COMPUTING] >= TINY.groups
    assert run.causes[Cause.OVERHEAD] >= RESULT


def test_causes_name_what_is_waited_for(check, job) -> None:
    run = check(TINY, [_drain(TINY, job, 0)], _activations(TINY))
    assert run.causes[Cause.COMPUTING] == WORDS * TINY.groups
    assert run.causes[Cause.WEIGHTS] > 0        # parameters arrive only after the instruction
    slow = check(TINY, [_drain(TINY, job, index, **SUM) for index in range(4)], _activations(TINY), obstruct=0.8)
    assert slow.causes[Cause.ACTIVATIONS] > 0
    slower = check(TINY, [_drain(TINY, job, index) for index in range(4)], _activations(TINY), obstruct=0.95)
    assert slower.causes[Cause.SUMS] > 0


_GOOD = {"destination": 3000, "destination_pitch": 4, "height": 1, "width": 1}


@pytest.mark.parametrize("instruction", [
    Drain(**_GOOD | {"height": 0}), Elementwise(**_GOOD | {"width": 0}), Pool(**_GOOD, kind=3), Pool(**_GOOD, taps_x=0),
    Pool(**_GOOD, taps_y=0)], ids=str)
def test_illegal_instructions_are_refused(bench, job, instruction) -> None:
    run = bench(TINY, [job(instruction)], _activations(TINY)).run()
    assert (run.illegal, run.retired, run.writes) == (1, [], [])


END = TINY.activation_words
_BEYOND = {"height": 2, "width": 3, "destination": 3000, "destination_pitch": 3}


@pytest.mark.parametrize(("instruction", "written"), [
    (Elementwise(**_BEYOND | {"destination": END - 5}), 5),
    (Elementwise(**_BEYOND | {"destination_pitch": END - 3001}), 4),
    (Elementwise(**_BEYOND | {"destination": (1 << 20) - 1}), 0),
    (Elementwise(**_BEYOND, source=END - 5, source_pitch=3), None),
    (Elementwise(**_BEYOND, add=1, residual=END - 5, residual_pitch=3), None),
    (Pool(**_BEYOND, source=END - 5, row_pitch=3, source_height=2, source_width=3), None),
    (Pool(**_BEYOND, source_height=2, source_width=3, row_pitch=END), None),
    (Pool(**_BEYOND, source_height=65535, origin_y=65534, source_width=3, row_pitch=65535), None),
], ids=str)
def test_instructions_that_leave_the_scratchpad_are_refused(bench, job, instruction, written: int | None) -> None:
    """Nothing is written beyond the scratchpad's end; ``written``: words before it."""
    run = bench(TINY, [job(instruction)], _activations(TINY)).run()
    assert run.illegal and not run.retired
    assert all(address < END for address, _ in run.writes)
    assert written is None or len(run.writes) <= written


@pytest.mark.parametrize(("height", "width"), [(3, 10), (4, 11), (1, 1)])
def test_a_drain_of_another_number_of_pixels_is_refused(bench, job, height: int, width: int) -> None:
    made = _drain(TINY, job, 0)
    run = bench(TINY, [replace(made, instruction=replace(made.instruction, height=height, width=width))],
                _activations(TINY)).run()
    assert run.illegal == 1 and not run.retired


@pytest.mark.parametrize("fields", [
    {"low": 1, "high": 0}, {"add_low": 1, "add_high": 0}, {"multiply": 1, "a_offset": -128},
    {"multiply": 1, "b_offset": 129}, {"multiply": 1, "ratio_b": 1 << 38}, {"multiply": 1, "ratio_b": 0, "add_offset": 1}])
def test_constants_without_a_result_are_refused(bench, check, job, fields: dict[str, int]) -> None:
    constants = SUM | fields
    run = bench(TINY, [job(Elementwise(**_GOOD, **constants))], _activations(TINY)).run()
    assert (run.illegal, run.retired, run.writes) == (1, [], [])
    if "low" not in fields:
        check(TINY, [job(Elementwise(**_GOOD, **constants | {"add": 0}))], _activations(TINY))


@pytest.mark.parametrize("kind", [Drain, Elementwise, Pool])
def test_reserved_bits_are_refused(bench, job, kind) -> None:
    class Reserved(kind):
        def encode(self, index: int = 0) -> bytes:
            return super().encode(index)[:FIELD_BYTES - 1] + b"\x80"

    run = bench(TINY, [job(Reserved(**_GOOD))], _activations(TINY)).run()
    assert (run.illegal, run.retired) == (1, [])


@pytest.mark.parametrize("name", ["tiny", "16x16"])
def test_presets_convert(name: str) -> None:
    assert "module \\top" in rtlil.convert(Post(PRESETS[name]))
