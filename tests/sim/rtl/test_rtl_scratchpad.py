"""The scratchpad from outside: units read what is written there, and their writes are visible, in every variant."""

from collections.abc import Iterator

import numpy as np
import pytest
from latency_programs import DESTINATION, Instructions, Maker, program_of

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Units
from arrayloom.isa.image import build_memory
from arrayloom.isa.instructions import PoolKind
from arrayloom.sim.emulator import Emulator, emulator
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import CHECKED, FAST, WAVES, Variant, WaveFormat, accelerator
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.memory import Timing

CONFIG = PRESETS["tiny"]
SHAPE = (CONFIG.activation_words, CONFIG.size)
MAKER = Maker(CONFIG)
WORDS = np.random.default_rng(3).integers(-128, 128, SHAPE, np.int8)


def driver_of(instructions: Instructions, variant: Variant = FAST) -> RtlDriver:
    program = program_of(CONFIG, instructions)
    memory = build_memory(program)
    data = memory[:program.code_address]
    data[:] = np.random.default_rng(4).integers(0, 256, data.size, np.uint8)
    return RtlDriver(build(accelerator(CONFIG), variant), program, memory, Timing())


@pytest.fixture(params=[FAST, CHECKED, WAVES[WaveFormat.VCD]], ids=lambda variant: variant.name)
def variant(request: pytest.FixtureRequest) -> Iterator[Variant]:
    return request.param


def test_the_units_read_what_is_put_there(variant):
    driver = driver_of([MAKER.store(600, address=0, source=1000, memory_pitch=0, chip_pitch=0)], variant)
    driver.simulator.write_scratchpad(WORDS)
    assert np.array_equal(driver.simulator.read_scratchpad(), WORDS)
    driver.run()
    stored = driver.simulator.memory[:600 * CONFIG.size].view(np.int8).reshape(600, CONFIG.size)
    assert np.array_equal(stored, WORDS[1000:1600])
    assert np.array_equal(driver.simulator.read_scratchpad(), WORDS)


def test_what_the_units_write_is_what_the_emulator_writes(monkeypatch):
    machines = []
    made = emulator.Machine
    monkeypatch.setattr(emulator, "Machine", lambda *given, **more: machines.append(made(*given, **more)) or machines[-1])
    driver = driver_of([MAKER.load(40, 15, chip_pitch=71, signal=Units.POST), MAKER.elementwise(15, 71, wait=Units.LOAD),
                        MAKER.pool(PoolKind.MAXIMUM, 3, 5, 3, destination=DESTINATION + 3001, wait=Units.POST)])
    memory = driver.simulator.memory.copy()
    driver.simulator.write_scratchpad(np.zeros(SHAPE, np.int8))
    driver.run()
    Emulator(driver.program, CONFIG).execute(memory, capture=False)
    assert machines[0].activations.any()
    assert np.array_equal(driver.simulator.read_scratchpad(), machines[0].activations)


def test_words_are_not_put_there_while_a_program_runs():
    driver = driver_of([MAKER.load(600)])
    driver.start()
    driver.simulator.run(100, until_irq=False)
    with pytest.raises(SimulationError, match="while a program runs"):
        driver.simulator.write_scratchpad(WORDS)
    driver.simulator.run(100_000)
    driver.simulator.write_scratchpad(WORDS)


@pytest.mark.parametrize("words", [WORDS.view(np.uint8), WORDS[1:], WORDS.reshape(-1)], ids=["dtype", "words", "shape"])
def test_words_of_another_shape_are_refused(words):
    with pytest.raises(SimulationError, match=r"must be int8\[16384, 4\]"):
        driver_of([]).simulator.write_scratchpad(words)


def test_a_design_without_a_scratchpad_refuses(open_bench, build_copier):
    with open_bench(build_copier()) as bench:
        with pytest.raises(SimulationError, match="no scratchpad"):
            bench.simulator.read_scratchpad()
        with pytest.raises(SimulationError, match="no scratchpad"):
            bench.simulator.write_scratchpad(WORDS)
