"""The simulator with a copy engine: data, timing, bus errors, registers, trace, start and end."""

import numpy as np
import pytest

from arrayloom.sim.rtl.design import CHECKED, FAST
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import RtlSimulator, Stop

TARGET = 1 << 17        # offset of the target in the memory
ANY_BUILD = pytest.mark.parametrize(("word_bytes", "variant"), [(4, FAST), (16, FAST), (64, CHECKED)])


@pytest.fixture
def bench(build_copier, open_bench):
    with open_bench(build_copier()) as opened:
        yield opened


@ANY_BUILD
@pytest.mark.parametrize("timing", [Timing(), Timing(latency=1, outstanding=1), Timing(7, 3, 2, 40, 5)])
def test_copies_any_length_through_any_memory(build_copier, open_bench, word_bytes, variant, timing):
    for words, burst in ((1, 1), (37, 5), (301, 4096 // word_bytes // 8)):
        with open_bench(build_copier(word_bytes, variant), timing) as bench:
            bench.copy(words, burst)
            expected = bench.before.copy()
            expected[TARGET:TARGET + words * word_bytes] = bench.before[:words * word_bytes]
            np.testing.assert_array_equal(bench.simulator.memory, expected)
            assert bench.status() == {"DONE"}
            statistics = bench.simulator.statistics
            assert statistics.read_beats == statistics.write_beats == words
            assert statistics.read_bursts == statistics.write_bursts == -(-words // burst)


def test_first_beat_and_response_come_after_the_latency(build_copier, open_bench):
    cycles = {}
    for latency in (1, 64, 100):
        with open_bench(build_copier(), Timing(latency)) as bench:
            cycles[latency] = bench.copy(1)
            # An address in cycle t is answered in cycle t + latency: the cycles in between are busy.
            assert bench.simulator.statistics.read_busy_cycles == latency
    assert cycles[64] - cycles[1] == 2 * 63
    assert cycles[100] - cycles[64] == 2 * 36


def test_one_beat_a_cycle_at_most_or_fewer(build_copier, open_bench):
    for interval in (1, 3):
        with open_bench(build_copier(), Timing(latency=5, beat_interval=interval)) as bench:
            bench.copy(64, burst=64)
            assert bench.simulator.statistics.read_busy_cycles == 5 + 63 * interval


def test_outstanding_bursts_overlap_their_latency(build_copier, open_bench):
    cycles = {}
    for outstanding in (1, 2, 16):
        with open_bench(build_copier(), Timing(latency=50, outstanding=outstanding)) as bench:
            bench.copy(32, burst=1)
            cycles[outstanding] = bench.simulator.statistics.read_busy_cycles
    assert cycles[1] == 32 * 50
    assert cycles[1] / 2 <= cycles[2] < cycles[1] * 0.6
    assert cycles[16] < cycles[1] / 8


def test_stalls_repeat_with_their_seed(build_copier, open_bench):
    def cycles(seed):
        with open_bench(build_copier(), Timing(stall_percent=50, seed=seed)) as bench:
            return bench.copy(200)

    first = cycles(1)
    assert cycles(1) == first
    assert {cycles(2), cycles(3)} != {first}


def test_data_is_in_memory_only_with_the_response(build_copier, open_bench):
    with open_bench(build_copier(), Timing(latency=500)) as bench:
        bench.start(words=1)
        assert bench.simulator.run(900) is Stop.LIMIT
        assert bench.simulator.statistics.write_beats == 1
        np.testing.assert_array_equal(bench.simulator.memory, bench.before)
        assert bench.simulator.run(1000) is Stop.IRQ
        np.testing.assert_array_equal(bench.simulator.memory[TARGET:TARGET + 16], bench.before[:16])


@ANY_BUILD
def test_strobes_keep_lanes(build_copier, open_bench, word_bytes, variant):
    with open_bench(build_copier(word_bytes, variant)) as bench:
        bench.copy(3, LANES_OFF=0xA5A5_A506)
        lanes = np.arange(3 * word_bytes)
        kept = 0xA5A5_A506 >> (lanes % word_bytes % 32) & 1
        expected = np.where(kept, bench.before[TARGET + lanes], bench.before[lanes])
        np.testing.assert_array_equal(bench.simulator.memory[TARGET + lanes], expected)


def test_faults_answer_with_errors_and_move_nothing(bench):
    bench.simulator.add_fault((1 << 33) + TARGET + 2 * 16 + 3, 1)
    bench.copy(5)
    moved = bench.simulator.memory[TARGET:TARGET + 80] == bench.before[:80]
    assert bench.status() == {"DONE", "WRITE_ERROR"}
    assert moved.reshape(5, 16).all(1).tolist() == [True, True, False, True, True]
    bench.simulator.clear_faults()
    bench.simulator.add_fault(1 << 33, 1)
    bench.copy(5)
    assert bench.status() == {"DONE", "READ_ERROR"}
    bench.simulator.clear_faults()
    bench.copy(5)
    assert bench.status() == {"DONE"}


@pytest.mark.parametrize("offset", [-16, 1 << 18])
def test_addresses_outside_the_memory_answer_with_errors(bench, offset):
    bench.copy(1, source=offset)
    assert bench.status() == {"DONE", "READ_ERROR"}
    assert not bench.simulator.memory[TARGET:TARGET + 16].any()
    bench.copy(1, target=offset)
    assert bench.status() == {"DONE", "WRITE_ERROR"}


def test_registers_read_back_and_refuse(bench, copier):
    bench.simulator.write_register(copier.Register.TARGET_HIGH, 0xDEADBEEF)
    assert bench.simulator.read_register(copier.Register.TARGET_HIGH) == 0xDEADBEEF
    with pytest.raises(SimulationError, match=r"write of register 0xff0 was refused with response 3"):
        bench.simulator.write_register(0xFF0, 0)
    with pytest.raises(SimulationError, match=r"read of register 0x800 was refused"):
        bench.simulator.read_register(0x800)
    with pytest.raises(SimulationError, match=r"register 0x004 = 4294967296: must fit in 32 bits"):
        bench.simulator.write_register(4, 1 << 32)


def test_trace_holds_every_word_in_order(bench):
    bench.copy(10)
    bench.simulator.record()
    bench.copy(70)
    addresses, words = bench.simulator.take_trace()
    assert addresses.dtype == np.uint32 and words.dtype == np.int8
    assert addresses.tolist() == list(range(70))
    np.testing.assert_array_equal(words.view(np.uint8).ravel(), bench.before[:70 * 16])
    assert bench.simulator.take_trace()[1].shape == (0, 16)
    bench.simulator.record(False)
    bench.copy(10)
    assert len(bench.simulator.take_trace()[0]) == 0


def test_progress_is_reported_and_may_stop_the_run(bench):
    seen = []
    bench.simulator.run(30_000, progress=seen.append, until_irq=False)
    assert seen[-1] == bench.simulator.cycles and seen == sorted(set(seen)) and len(seen) > 1

    def stop(cycles):
        raise RuntimeError(f"enough at {cycles}")

    bench.start(words=4000)
    with pytest.raises(RuntimeError, match="enough at"):
        bench.simulator.run(100_000, progress=stop)
    assert bench.simulator.run(100_000) is Stop.IRQ
    np.testing.assert_array_equal(bench.simulator.memory[TARGET:TARGET + 64000], bench.before[:64000])


def test_reset_forgets_bursts_but_not_time(bench):
    bench.start(words=1000)
    bench.simulator.run(100)
    before = bench.simulator.cycles
    bench.simulator.reset()
    assert bench.simulator.cycles > before and not bench.simulator.irq
    assert bench.status() == set()
    bench.copy(20)
    assert bench.status() == {"DONE"}


def test_simulators_stand_side_by_side(build_copier, open_bench):
    with (open_bench(build_copier()) as one, open_bench(build_copier()) as two, open_bench(build_copier(4)) as three):
        for bench in (one, two, three):
            bench.start(words=50)
        two.simulator.run(90)
        assert one.simulator.run(10_000) is three.simulator.run(10_000) is two.simulator.run(10_000) is Stop.IRQ
        for bench, size in ((one, 16), (two, 16), (three, 4)):
            np.testing.assert_array_equal(bench.simulator.memory[TARGET:TARGET + 50 * size], bench.before[:50 * size])


def test_timing_is_fixed_while_bursts_are_outstanding(bench):
    bench.start(words=100)
    bench.simulator.run(20)
    with pytest.raises(SimulationError, match="cannot change while bursts are outstanding"):
        bench.simulator.timing = Timing(latency=3)
    assert bench.simulator.timing == Timing()
    bench.simulator.run(10_000)
    bench.simulator.timing = Timing(latency=3)
    assert bench.copy(1) < 20


@pytest.mark.parametrize(("values", "text"), [
    ({"latency": 0}, "latency = 0: must be from 1"), ({"outstanding": 257}, "outstanding = 257: must be from 1 to 256"),
    ({"beat_interval": 0}, "beat_interval = 0"), ({"stall_percent": 100}, "stall_percent = 100: must be from 0 to 99"),
    ({"seed": -1}, "seed = -1"),
])
def test_timing_is_checked(values, text):
    with pytest.raises(SimulationError, match=text):
        Timing(**values)


@pytest.mark.parametrize("memory", [np.zeros(64, np.int8), np.zeros((8, 8), np.uint8), np.zeros(64, np.uint8)[::2]])
def test_memory_must_be_one_that_can_be_shared(build_copier, memory):
    with pytest.raises(SimulationError, match="must be uint8, of one dimension, contiguous and writeable"):
        RtlSimulator(build_copier(), memory)


def test_a_closed_simulator_says_so(build_copier, open_bench):
    with open_bench(build_copier()) as bench:
        bench.simulator.close()
        bench.simulator.close()
        for use in (lambda: bench.simulator.run(1), lambda: bench.simulator.cycles, bench.simulator.reset):
            with pytest.raises(SimulationError, match="was closed"):
                use()
