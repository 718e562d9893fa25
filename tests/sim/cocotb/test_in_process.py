"""The checks of the benches on the in-process simulator, whose bus, clock and memory are others."""

from collections.abc import Iterator

import numpy as np
import pytest
from board_arithmetic import Arithmetic
from board_checks import CHECKS, check_faults
from board_direct import DirectBoard, complete
from board_faults import FAULTS
from board_programs import MEMORY_BYTES, Mixed
from board_runs import check_program

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.simulator import RtlSimulator, Timing

BASE = 0x31_2345_6000
CONFIG = PRESETS["tiny"]
TIMINGS = [Timing(), Timing(latency=3, outstanding=2, stall_percent=40, seed=5), Timing(latency=200, beat_interval=3)]


@pytest.fixture(scope="module")
def fast() -> Build:
    return build(accelerator(CONFIG))


@pytest.fixture(params=TIMINGS, ids=["default", "stalling", "slow"])
def board(fast: Build, request: pytest.FixtureRequest) -> Iterator[DirectBoard]:
    memory = np.random.default_rng(1).integers(0, 256, MEMORY_BYTES, np.uint8)
    with RtlSimulator(fast, memory, BASE, request.param) as simulator:
        yield DirectBoard(simulator, CONFIG)


@pytest.mark.parametrize("name", CHECKS)
def test_control(board: DirectBoard, name: str) -> None:
    complete(CHECKS[name](board))


@pytest.mark.parametrize("group", FAULTS)
def test_every_fault_ends_in_the_status_register_with_its_cause(board: DirectBoard, group: str) -> None:
    complete(check_faults(board, group))


@pytest.mark.parametrize("seed", range(20, 30))
def test_random_programs_do_what_the_emulator_does(board: DirectBoard, seed: int) -> None:
    complete(check_program(board, Mixed(CONFIG, seed, 2).program))


@pytest.mark.parametrize("seed", range(8))
def test_values_where_rounding_decides_are_the_emulator_s(fast: Build, seed: int) -> None:
    memory = np.random.default_rng(1).integers(0, 256, MEMORY_BYTES, np.uint8)
    with RtlSimulator(fast, memory, BASE) as simulator:
        complete(check_program(DirectBoard(simulator, CONFIG), Arithmetic(CONFIG, seed).program))
