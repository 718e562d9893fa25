"""The twin, in which every island's clock fires in every cycle: it behaves like the fast build.

It finds an island that sleeps at the wrong time, and builds also with a Verilator whose C++ is unknown.
"""

import shutil

import numpy as np
import pytest
from latency_programs import CODE, MEMORY_BYTES, latency_programs, program_of
from random_graphs import check, generate

from arrayloom.host.runtime import backends
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.isa.config import PRESETS
from arrayloom.isa.registers import Control, Error, Register, StatusWord
from arrayloom.sim.rtl import verilog
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import FAST, TWIN, accelerator
from arrayloom.sim.rtl.errors import BuildError, SimulationError
from arrayloom.sim.rtl.islands import split, triggers
from arrayloom.sim.rtl.islands.partition import Partition
from arrayloom.sim.rtl.islands.wake import may_change
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop

TIMINGS = [Timing(), Timing(latency=1, outstanding=1), Timing(7, 3, 2, 40, 5)]
TARGET = 1 << 17


@pytest.fixture
def fresh_cache(build_copier, rtl_cache, tmp_path):
    """A cache with only Verilator's runtime, for builds whose results must not be shared."""
    build_copier(4)
    shutil.copytree(rtl_cache / "runtime", tmp_path / "cache" / "runtime")
    return tmp_path / "cache"


def test_the_copier_and_its_twin_are_equal(build_copier, open_bench):
    """Including faults, a reset during a run, and registers written and read during one."""
    for timing in TIMINGS:
        seen = []
        for variant in (FAST, TWIN):
            with open_bench(build_copier(4, variant), timing, seed=3) as bench:
                cycles = [bench.copy(words, burst) for words, burst in ((1, 1), (37, 5), (301, 32))]
                bench.simulator.add_fault((1 << 33) + TARGET + 9, 1)
                cycles.append(bench.copy(5))
                assert bench.status() == {"DONE", "WRITE_ERROR"}
                bench.start(words=500)
                assert bench.simulator.run(150) is Stop.LIMIT
                bench.simulator.reset()
                assert bench.status() == set()
                bench.start(words=100)
                for value in range(20):
                    bench.simulator.write_register(bench.copier.Register.TARGET_HIGH, value)
                    assert bench.simulator.read_register(bench.copier.Register.TARGET_HIGH) == value
                assert bench.simulator.run(100_000) is Stop.IRQ
                cycles.append(bench.simulator.cycles)
                seen.append((cycles, bench.simulator.memory.tobytes(), bench.simulator.statistics))
        assert seen[0] == seen[1]


def test_a_forgotten_register_is_found(monkeypatch, copier, fresh_cache, open_bench):
    """``word`` counts the words written; the other register of its island changes only by software."""
    def forget(state, logic, exact):
        return [] if state.key == "/word" else may_change(state, logic, exact)

    table = Partition({"/word": "counting", "/burst": "counting", **dict.fromkeys(("/status", "/irq", "/start"), "rest")})
    monkeypatch.setattr(split, "may_change", forget)
    monkeypatch.setattr(verilog, "trained_partition", lambda: table)
    made = build(copier.design(4), TWIN, fresh_cache, report=lambda _: None)
    with (open_bench(made) as bench,
          pytest.raises(SimulationError, match=r"cycle \d+: \w+ changed in an island that was not awake")):
        bench.copy(40)


def test_an_unknown_verilator_is_worked_around(monkeypatch, copier, fresh_cache, open_bench):
    monkeypatch.setattr(triggers, "FUNCTION", "void Vtop___024root___eval_otherwise(Vtop___024root* vlSelf) {\n")
    lines = []
    made = build(copier.design(4), FAST, fresh_cache, report=lines.append)
    (notice,) = [line for line in lines if line.startswith("notice: ")]
    assert "writes C++ of another form than is known here (no file defines" in notice and "half the speed" in notice
    with open_bench(made) as bench:
        bench.copy(40)
        np.testing.assert_array_equal(bench.simulator.memory[TARGET:TARGET + 160], bench.before[:160])
    with pytest.raises(BuildError, match=r"no file defines .*there is nothing to compare"):
        build(copier.design(4), TWIN, fresh_cache, report=lambda _: None)


@pytest.fixture(scope="module")
def twin():
    """The twin of ``tiny``; takes a minute or two to build, and is cached for all runs."""
    return build(accelerator(PRESETS["tiny"]), TWIN)


@pytest.fixture(scope="module")
def fast():
    return build(accelerator(PRESETS["tiny"]), FAST)


def drive(made, instructions, timing, act):
    """The results of a program: status, cycles, memory, trace; ``act`` is applied to the driver after the start."""
    memory = np.random.default_rng(6).integers(0, 256, MEMORY_BYTES, np.uint8)
    program = program_of(PRESETS["tiny"], instructions)
    memory[CODE:CODE + program.instructions.size] = program.instructions
    driver = RtlDriver(made, program, memory, timing)
    driver.simulator.record()
    act(driver)
    addresses, words = driver.simulator.take_trace()
    left = (driver.read(Register.STATUS), driver.simulator.cycles, memory.tobytes(), addresses.tobytes(), words.tobytes(),
            driver.counters())
    driver.close()
    return left


def finish(driver):
    driver.start()
    assert driver.simulator.run(200_000) is Stop.IRQ


def reset_in_the_midst(driver):
    """An abort by the register, then one by the pin, each followed by a whole run."""
    driver.start()
    driver.simulator.run(200)
    driver.simulator.write_register(Register.CONTROL, 1 << Control.RESET)
    while StatusWord.decode(driver.read(Register.STATUS)).busy:
        driver.simulator.run(10)
    driver.start()
    driver.simulator.run(250)
    driver.simulator.reset()
    driver._prepare(PRESETS["tiny"])
    finish(driver)


def register_traffic(driver):
    driver.start()
    for _ in range(30):
        driver.simulator.run(13)
        driver.counters()
        driver.simulator.write_register(Register.INTERRUPT_ENABLE, 1)
    assert driver.simulator.run(200_000) is Stop.IRQ


def bus_fault(driver):
    """A bus fault in loaded data, and in the instructions after the first five: most programs fail there."""
    driver.simulator.add_fault(driver.simulator.base + 32, 8)
    driver.simulator.add_fault(driver.simulator.base + CODE + 320, 64)
    finish(driver)


def watchdog(driver):
    driver.simulator.write_register(Register.WATCHDOG, 40)
    finish(driver)
    assert StatusWord.decode(driver.read(Register.STATUS)).error is Error.WATCHDOG


ACTS = {"finish": finish, "reset": reset_in_the_midst, "registers": register_traffic, "fault": bus_fault}


@pytest.mark.slow
@pytest.mark.parametrize("timing", TIMINGS, ids=["default", "fast", "stalling"])
@pytest.mark.parametrize("act", ACTS)
def test_programs_leave_the_same_and_the_twin_stays_equal(fast, twin, timing, act):
    failed = 0
    for instructions in list(latency_programs(PRESETS["tiny"]).values())[:: 1 if act == "finish" else 4]:
        left = drive(fast, instructions, timing, ACTS[act])
        assert left == drive(twin, instructions, timing, ACTS[act])
        failed += StatusWord.decode(left[0]).failed
    assert failed >= 5 if act == "fault" else not failed


@pytest.mark.slow
def test_the_watchdog_leaves_the_same(fast, twin):
    instructions = next(iter(latency_programs(PRESETS["tiny"]).values()))
    slow = Timing(latency=500)
    assert drive(fast, instructions, slow, watchdog) == drive(twin, instructions, slow, watchdog)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_equal_onnx_runtime_on_the_twin(monkeypatch, twin, seed):
    monkeypatch.setattr(backends, "simulator_of", lambda _: twin)
    device = backends.open_device("rtl", PRESETS["tiny"])
    failure = check(generate(seed), seed, device)
    device.close()
    assert failure is None, failure.text
