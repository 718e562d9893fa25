"""One seed: a program, the memory's timing, and the disturbance of the run."""

import random
import re
import traceback
from dataclasses import dataclass
from functools import cache

import numpy as np
from board_direct import DirectBoard, complete
from board_programs import MEMORY_BYTES, small_program
from board_runs import Accelerator, check_program

from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import CHECKED, FAST, accelerator
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import RtlSimulator

from .disturbances import DISTURBANCES

BASE = 0x87_6543_2000
GUARD = 1 << 17     # bytes after a program's memory that no run may write


@dataclass(frozen=True)
class Failure:
    """Why a seed failed: ``kind`` is the same for similar failures, ``text`` has all details."""

    kind: str
    text: str


def check(seed: int, config: str = "tiny", checked: bool = False) -> Failure | None:
    """None if the run and the next one end correctly; ``checked``: with the design's assertions."""
    try:
        disturb(_build(config, checked), seed, config)
    except (AssertionError, SimulationError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        return Failure(f"{name_of(seed)}: {re.sub('[0-9]+', 'n', first)[:120]}", "".join(traceback.format_exception(error)))
    return None


def disturb(build: Build, seed: int, config: str = "tiny") -> None:
    """Runs a seed's disturbance, then a good run; raises if one does not end correctly."""
    rng = _generator(seed)
    name = rng.choice(list(DISTURBANCES))
    memory = np.random.default_rng(seed).integers(0, 256, MEMORY_BYTES + GUARD, np.uint8)
    with RtlSimulator(build, memory, BASE, _timing(rng), seed) as simulator:
        complete(_disturbed(DirectBoard(simulator, load_config(config)), name, rng))


def name_of(seed: int) -> str:
    """The disturbance of a seed."""
    return _generator(seed).choice(list(DISTURBANCES))


def _generator(seed: int) -> random.Random:
    return random.Random(f"fault {seed}")


async def _disturbed(board: Accelerator, name: str, rng: random.Random) -> None:
    await DISTURBANCES[name](board, rng)
    await check_program(board, small_program(board.config, rng.randrange(1 << 30)))


def _timing(rng: random.Random) -> Timing:
    return Timing(latency=rng.choice([1, 2, 4, 17, 64, 150]), outstanding=rng.choice([1, 2, 4, 16]),
                  beat_interval=rng.choice([1, 1, 2, 5]), stall_percent=rng.choice([0, 0, 10, 40, 80]),
                  seed=rng.randrange(1 << 30))


@cache
def _build(config: str, checked: bool) -> Build:
    return build(accelerator(load_config(config)), CHECKED if checked else FAST)
