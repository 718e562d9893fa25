"""Every latency of the cost model equals the hardware's declared value, is pinned by cycles of the RTL, or both."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from latency_programs import depthwise_programs, latency_programs, program_of
from small_accelerators import DEPTHWISE, TINY, WIDE

from arrayloom.compiler.cost import predict, timing
from arrayloom.compiler.cost.transfers import longest_burst
from arrayloom.compiler.errors import CompileError
from arrayloom.hdl import issue, load, store
from arrayloom.hdl.array import timing as array
from arrayloom.hdl.post import fetch as operands
from arrayloom.hdl.post import records, stages, unit
from arrayloom.hdl.post.average import AverageLane
from arrayloom.hdl.post.search import Search
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.image import build_memory
from arrayloom.sim.rtl.memory import Timing

PROGRAMS = latency_programs(TINY)
DEPTHWISE_PROGRAMS = depthwise_programs(DEPTHWISE)
CONSTANTS = {name: value for name, value in vars(timing).items() if name.isupper()}

DECLARED = {
    "MEMORY_LATENCY": {Timing().latency},
    "OUTSTANDING": {Timing().outstanding, load.OUTSTANDING, store.OUTSTANDING},
    "IN_FLIGHT": {issue.IN_FLIGHT},
    "STORE_REQUESTS": {store.REQUESTS},
    "TAKE": {array.TAKE},
    "WORD": {array.WORD},
    "SUMS_WRITTEN": {array.UPDATE},
    "WEIGHT_LATENCY": {array.LOAD},
    "POST_IN_FLIGHT": {records.IN_FLIGHT},
    "LANES_LATENCY": {stages.RESULT + unit.WRITE},
    "RESIDUAL_STAGES": {stages.REQUANTIZED},
    "ROUND_TRIP": {operands.ROUND_TRIP},
    "GATHER_DEPTH": {operands.Gather.DEPTH},
    "AVERAGE_SLOTS": {AverageLane.LOOP},
    "SEARCH_SLOTS": {Search.LOOP},
    "SEARCH_STEPS": {Search.BITS},
}

SHAPES = [*PRESETS.values(), replace(TINY, name="single", column_stage=1, row_stage=1),
          replace(PRESETS["16x16"], name="whole", column_stage=16, row_stage=16, lanes=16, weight_words=32),
          replace(TINY, name="narrow", weight_words=8)]


@pytest.fixture(scope="module", params=["tiny", "16x16"])
def device(request: pytest.FixtureRequest) -> Iterator[RtlDevice]:
    device = RtlDevice(PRESETS[request.param])
    yield device
    device.close()


def _cycles(name: str) -> int | None:
    """The predicted cycles; None if the program would never end."""
    config, programs = (TINY, PROGRAMS) if name in PROGRAMS else (DEPTHWISE, DEPTHWISE_PROGRAMS)
    try:
        return predict(program_of(config, programs[name]), config).cycles
    except CompileError:
        return None


@pytest.mark.parametrize("name", PROGRAMS)
def test_predicts_the_cycles_of_the_rtl(name: str, device: RtlDevice) -> None:
    program = program_of(device.config, latency_programs(device.config)[name])
    predicted, measured = predict(program, device.config), device.execute(program, build_memory(program))
    assert (predicted.cycles, predicted.words_read, predicted.words_written) == (
        measured.cycles, measured.words_read, measured.words_written)


@pytest.fixture(scope="module", params=[DEPTHWISE, WIDE], ids=lambda config: config.name)
def depthwise_device(request: pytest.FixtureRequest) -> Iterator[RtlDevice]:
    device = RtlDevice(request.param)
    yield device
    device.close()


@pytest.mark.parametrize("name", DEPTHWISE_PROGRAMS)
def test_predicts_the_cycles_of_the_depthwise_unit(name: str, depthwise_device: RtlDevice) -> None:
    config = depthwise_device.config
    program = program_of(config, DEPTHWISE_PROGRAMS[name])
    assert predict(program, config).cycles == depthwise_device.execute(program, build_memory(program)).cycles


@pytest.mark.parametrize("name", DECLARED)
def test_equals_what_the_hardware_declares(name: str) -> None:
    assert {CONSTANTS[name]} == DECLARED[name]


@pytest.fixture(scope="module")
def predicted() -> dict[str, int | None]:
    return {program: _cycles(program) for program in (*PROGRAMS, *DEPTHWISE_PROGRAMS)}


@pytest.mark.parametrize("name", CONSTANTS)
def test_another_number_predicts_other_cycles(name: str, predicted: dict[str, int | None],
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle more changes a prediction above, and so does one less; one of both is enough if the hardware declares it."""
    seen = []
    for change in (1, -1):
        monkeypatch.setattr(timing, name, CONSTANTS[name] + change)
        seen.append(any(_cycles(program) != cycles for program, cycles in predicted.items()))
    assert any(seen) if name in DECLARED else all(seen)


def test_constants_are_whole_numbers_and_more_than_fifty() -> None:
    """Collected by name from the module, so that a new constant must be pinned too."""
    assert all(type(value) is int for value in CONSTANTS.values())
    assert len(CONSTANTS) > 50
    assert set(DECLARED) <= set(CONSTANTS)


@pytest.mark.parametrize("config", SHAPES, ids=lambda config: config.name)
def test_what_depends_on_the_configuration_equals_the_hardware_s(config: Config) -> None:
    ours, hardware = timing.ArrayTiming(config), array.Timing(config)
    assert (ours.reload, ours.ready) == (hardware.reload, hardware.ready)
    assert ours.bank_full == array.WORD + hardware.tag + hardware.column_groups - 1 + array.UPDATE
    assert longest_burst(config) == load.longest_burst(config)
    ahead = stages.words_between(stages.ISSUED, stages.REQUANTIZED, config.groups) + operands.ROUND_TRIP
    assert timing.residuals_ahead(config) == ahead
