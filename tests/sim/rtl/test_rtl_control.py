"""Digests of the control state: runs with equal digests continue alike; data is not part of them."""

import numpy as np
import pytest
from latency_programs import Instructions, Maker, program_of

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.image import build_memory
from arrayloom.isa.instructions import PoolKind
from arrayloom.isa.registers import Block
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import CHECKED, FAST, WAVES, Variant, WaveFormat, accelerator
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.memory import Timing

CONFIG = PRESETS["tiny"]
RESIDUAL = 2048
TIMINGS = [Timing(), Timing(latency=3, outstanding=2), Timing(latency=150, beat_interval=3),
           Timing(latency=20, stall_percent=30, seed=5)]


class Run:
    """The record of a run of instructions on random memory and a random scratchpad."""

    def __init__(self, instructions: Instructions, timing: Timing = TIMINGS[0], seed: int = 1, config: Config = CONFIG,
                 variant: Variant = FAST, before: Instructions | None = None) -> None:
        """``before``: instructions that run first on the same accelerator."""
        program = program_of(config, instructions)
        memory = build_memory(program)
        rng = np.random.default_rng(seed)
        memory[:program.code_address] = rng.integers(0, 256, program.code_address, np.uint8)
        driver = RtlDriver(build(accelerator(config), variant), program, memory, timing, seed)
        self.simulator = driver.simulator
        if before is not None:
            self._run(driver, program_of(config, before).instructions)
        self.simulator.write_scratchpad(rng.integers(-128, 128, (config.activation_words, config.size), np.int8))
        self.simulator.record_control()
        self.simulator.record_events()
        self._run(driver, program.instructions)
        self.points = self.simulator.take_control()
        self.events = self.simulator.take_events()

    @staticmethod
    def _run(driver: RtlDriver, code: np.ndarray) -> None:
        start = driver.program.code_address
        driver.simulator.memory[start:start + code.size] = code
        status = driver.run()
        assert status.done and not status.failed

    def digests(self) -> list[tuple[int, int]]:
        return [(int(low), int(high)) for low, high in self.points["digest"]]

    def from_cycle(self, cycle: int) -> list[tuple[int, int, int, int, int]]:
        """The run's segments, the first one cut at that cycle."""
        ends = np.cumsum(self.events["cycles"], dtype=np.int64)
        place = int(np.searchsorted(ends, cycle, "right"))
        rest = [tuple(int(value) for value in each) for each in self.events[place:]]
        # Words moved by then belong to the preceding part.
        return [(int(ends[place]) - cycle, *rest[0][1:3], 0, 0), *rest[1:]]


def agreements(one: Run, other: Run) -> list[tuple[int, int]]:
    """Indices of points of both runs with equal digests."""
    places = {digest: index for index, digest in enumerate(one.digests())}
    return [(places[digest], index) for index, digest in enumerate(other.digests()) if digest in places]


def random_instructions(rng: np.random.Generator, count: int) -> Instructions:
    """Instructions of every kind that need no token; their results are meaningless, but their timing is realistic."""
    maker = Maker(CONFIG)
    made: Instructions = []

    def layer() -> Instructions:
        height, width, taps, add = (int(value) for value in rng.integers((1, 1, 1, 0), (8, 8, 4, 2)))
        return [maker.weights(taps * taps), maker.parameters(), maker.convolve(height, width, taps_y=taps, taps_x=taps),
                maker.drain(height, width, **({"add": 1, "residual": RESIDUAL, "residual_pitch": width} if add else {}))]

    makers = [layer, layer, layer, lambda: [maker.elementwise(2, int(rng.integers(1, 20)))], lambda: [maker.add(7)],
              lambda: [maker.pool(PoolKind.MAXIMUM, 2, 2, 2)], lambda: [maker.parameters(256), maker.average(1, 1, 3)],
              lambda: [maker.load(int(rng.integers(1, 100)))], lambda: [maker.store(int(rng.integers(1, 100)), 2)]]
    while len(made) < count:
        made += makers[rng.integers(len(makers))]()
    return made


@pytest.mark.parametrize("timing", TIMINGS[:3], ids=["default", "narrow", "late"])
@pytest.mark.parametrize("seed", range(4))
def test_runs_of_one_digest_go_on_alike(timing, seed):
    maker, rest = Maker(CONFIG), random_instructions(np.random.default_rng(seed), 60)
    one = Run([maker.load(1), maker.store(1), *rest], timing)
    other = Run([maker.load(300, 2), maker.store(3, 30), *rest], timing, seed=2, before=random_instructions(
        np.random.default_rng(seed + 100), 20))
    found = agreements(one, other)
    assert found, "runs that differ in their first two instructions do not come to the same state"
    assert len(found) < len(one.points)     # they did differ
    for mine, theirs in found:
        assert one.points["instruction"][mine] == other.points["instruction"][theirs]
    mine, theirs = (int(run.points["cycle"][place]) for run, place in zip((one, other), found[0], strict=True))
    assert one.from_cycle(mine) == other.from_cycle(theirs)
    assert found == [(found[0][0] + step, found[0][1] + step) for step in range(len(one.points) - found[0][0])]


@pytest.mark.parametrize("timing", TIMINGS, ids=["default", "narrow", "late", "stalling"])
def test_data_is_not_in_the_digest(timing):
    instructions = random_instructions(np.random.default_rng(9), 60)
    one, other = Run(instructions, timing), Run(instructions, timing, seed=2)
    assert np.array_equal(one.points, other.points) and np.array_equal(one.events, other.events)
    assert len(set(one.digests())) == len(one.points) > 20


def test_points_are_where_post_completes_an_instruction():
    run = Run(random_instructions(np.random.default_rng(3), 60))
    ends = np.cumsum(run.events["cycles"], dtype=np.int64) - 1
    retired = ends[run.events["retired"] >> Block.POST & 1 == 1]
    assert np.array_equal(run.points["cycle"], retired)
    assert np.array_equal(run.points["instruction"], np.arange(len(retired)))


def test_what_nothing_initialises_is_not_in_the_digest():
    instructions = random_instructions(np.random.default_rng(3), 60)
    fast, checked, other = Run(instructions), Run(instructions, variant=CHECKED), Run(instructions, variant=CHECKED, seed=2)
    assert np.array_equal(fast.points["cycle"], checked.points["cycle"])
    assert np.array_equal(checked.points, other.points)


def test_nothing_is_recorded_unless_it_is_asked_for():
    run = Run(random_instructions(np.random.default_rng(3), 20))
    assert len(run.simulator.take_control()) == 0
    run.simulator.record_control(False)
    driver = RtlDriver(run.simulator.build, program_of(CONFIG, []), build_memory(program_of(CONFIG, [])), Timing())
    driver.run()
    assert len(driver.simulator.take_control()) == 0


def test_builds_without_the_state_refuse(open_bench, build_copier):
    with open_bench(build_copier()) as bench, pytest.raises(SimulationError, match="has none"):
        bench.simulator.record_control()
    with pytest.raises(SimulationError, match="this vcd waves build has none"):
        Run([], variant=WAVES[WaveFormat.VCD])
