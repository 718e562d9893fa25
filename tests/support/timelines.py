"""Made-up runs of real programs: a timeline and the matching report."""

import numpy as np

from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, Unit
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    Convolve,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Store,
)
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline, Track, Traffic

READ_AHEAD = 8      # words that FETCH reads beyond the end


def made_up(program: Program, seed: int = 0) -> tuple[Timeline, RunReport]:
    """Units execute their instructions one by one, for a few cycles with one cause, then with another."""
    random = np.random.default_rng(seed)
    lists = {unit.name: [i for i, one in enumerate(program) if unit == one.UNIT] for unit in Unit}
    lists = {"FETCH": list(range(len(program)))} | lists
    work = [_work(one) for one in program]
    drafts = {unit: _draft(random, indices, work) for unit, indices in lists.items()}
    cycles = max(draft[-1][0] for draft in drafts.values()) + 7
    tracks = {unit: Track(*(np.array(column, dtype) for column, dtype in
                            zip(zip(*draft, strict=True), (np.int64, np.uint8, np.int32), strict=True)))
              for unit, draft in drafts.items()}
    read, written = words(program)
    traffic = Traffic(np.array([0, cycles]), np.array([0, read]), np.array([0, written]))
    timeline = Timeline(cycles, tracks, traffic)
    return timeline, RunReport("rtl", program.macs, program.configuration.multipliers, 1.0, cycles, counters(timeline),
                               read, written)


def _work(instruction: Instruction) -> int:
    """Cycles in which the array computes, or a few."""
    if not isinstance(instruction, Convolve):
        return 5
    one = instruction
    return one.height * one.width * one.blocks * one.taps_y * one.taps_x * one.repeats


def _draft(random: np.random.Generator, indices: list[int], work: list[int]) -> list[tuple[int, int, int]]:
    """(start, cause, instruction) of every segment, ending with an idle one."""
    cycle, draft = 0, [(0, Cause.IDLE, -1)]
    cycle += int(random.integers(1, 20))
    for index in indices:
        for cause in random.choice(list(Cause), random.integers(1, 4), replace=False):
            draft.append((cycle, int(cause), index))
            cycle += int(random.integers(1, 40))
        draft.append((cycle, Cause.COMPUTING, index))
        cycle += work[index]
    return [*draft, (cycle, Cause.IDLE, -1)]


def counters(timeline: Timeline) -> dict[str, dict[str, int]]:
    """The expected counters, counted cycle by cycle."""
    result = {}
    for unit, track in timeline.tracks.items():
        causes = per_cycle(track, track.causes, timeline.cycles)
        result[unit] = {cause.name: int((causes == cause).sum()) for cause in Cause}
    return result


def per_cycle(track: Track, values: np.ndarray, cycles: int) -> np.ndarray:
    """The track's ``values`` in each cycle."""
    return values[np.searchsorted(track.starts, np.arange(cycles), side="right") - 1]


def words(program: Program) -> tuple[int, int]:
    """Words that a run reads and writes."""
    config = program.configuration
    read = len(program) * INSTRUCTION_BYTES // config.size + READ_AHEAD
    written = 0
    for one in program:
        match one:
            case LoadWeights():
                read += one.words
            case LoadParameters():
                read += one.entries * config.parameter_beats
            case LoadLookupTable():
                read += LOOKUP_TABLE_WORDS
            case LoadActivations():
                read += one.words * one.rows
            case Store():
                written += one.words * one.rows
    return read, written
