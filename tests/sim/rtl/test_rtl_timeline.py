"""The recording of a design's blocks, and the timeline made from it."""

import numpy as np
import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import encode_all
from arrayloom.isa.instructions import Convolve, Drain, End, LoadWeights
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Block, Cause
from arrayloom.sim.rtl.library import SEGMENT
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.timeline import make_timeline

RETIRED = 1 << Block.LOAD


@pytest.mark.parametrize("timing", [Timing(), Timing(latency=9, stall_percent=40, seed=3)])
def test_segments_hold_each_cycle_and_each_word(build_copier, open_bench, timing):
    with open_bench(build_copier(), timing) as bench:
        bench.simulator.record_events()
        bench.copy(words=50, burst=8)
        segments, statistics = bench.simulator.take_events(), bench.simulator.statistics
        bench.copy(words=5)
        again = bench.simulator.take_events()
        bench.simulator.record_events(False)
        bench.copy(words=5)
        assert not len(bench.simulator.take_events())
    sending = segments["causes"] == 1
    assert segments["cycles"][sending].sum() == 50
    assert segments["words_read"].sum() == statistics.read_beats == 50
    assert segments["words_written"].sum() == statistics.write_beats == 50
    assert segments["retired"].sum() == segments["retired"][sending][-1] == RETIRED
    assert (segments["causes"][1:] != segments["causes"][:-1]).sum() >= len(segments) - 2
    assert again["cycles"].sum() > 0 and again["words_read"].sum() == 5


def program_of(*instructions) -> Program:
    code = encode_all(list(instructions))
    return Program(PRESETS["tiny"], "made", code, np.zeros(0, np.uint8), 0, 0, 4096, [], [], None, [], [], {}, {}, 0)


def segment(cycles, retired=(), read=0, written=0, **causes):
    word = sum(cause << 4 * Block[name] for name, cause in causes.items())
    return cycles, word, sum(1 << block for block in retired), read, written


def test_a_track_has_causes_and_instructions():
    program = program_of(LoadWeights(words=4), Convolve(), LoadWeights(words=4), Drain(), End())
    timeline = make_timeline(program, np.array([
        segment(10, FETCH=Cause.MEMORY),
        segment(1, [Block.FETCH], read=16, FETCH=Cause.COMPUTING),
        segment(5, [Block.LOAD], 3, LOAD=Cause.COMPUTING),
        segment(2, LOAD=Cause.COMPUTING, POST=Cause.SUMS),
        segment(3, LOAD=Cause.IDLE, POST=Cause.SUMS),
        segment(4, [Block.LOAD, Block.POST], 0, 2, LOAD=Cause.COMPUTING, POST=Cause.COMPUTING),
        segment(6),
    ], SEGMENT))
    load, post = timeline.tracks["LOAD"], timeline.tracks["POST"]
    assert timeline.cycles == 31
    assert load.starts.tolist() == [0, 11, 16, 18, 21, 25]
    assert load.causes.tolist() == [0, 1, 1, 0, 1, 0]
    assert load.instructions.tolist() == [-1, 0, 2, 2, 2, -1]
    assert post.starts.tolist() == [0, 16, 21, 25] and post.instructions.tolist() == [-1, 3, 3, -1]
    assert timeline.tracks["FETCH"].instructions.tolist() == [0, 0, 1]
    assert timeline.tracks["ARRAY"].instructions.tolist() == [-1]
    assert load.lengths(timeline.cycles).tolist() == [11, 5, 2, 3, 4, 6]
    assert timeline.counters()["LOAD"] == dict.fromkeys((cause.name for cause in Cause), 0) | {"IDLE": 20, "COMPUTING": 11}
    assert timeline.traffic.cycles.tolist() == [0, 10, 11, 16, 18, 21, 25, 31]
    assert timeline.traffic.words_read.tolist() == [0, 0, 16, 19, 19, 19, 19, 19]
    assert timeline.traffic.words_written.tolist() == [0, 0, 0, 0, 0, 0, 2, 2]
