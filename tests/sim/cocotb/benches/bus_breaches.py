"""Runs in which memory breaks one rule of the bus, and the properties of each."""

import random

import numpy as np
from board_direct import DirectBoard, complete
from board_programs import MEMORY_BYTES, Mixed, small_program
from board_runs import LONGEST, check_program, start, status

from arrayloom.isa.config import PRESETS
from arrayloom.isa.image import build_memory
from arrayloom.sim.emulator import Emulator
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Breach, Timing
from arrayloom.sim.rtl.simulator import RtlSimulator, Stop

TINY = PRESETS["tiny"]
BASE = 0x87_6543_2000
GUARD = 1 << 16         # bytes after the program's memory
SETTLED = 5000          # cycles after which a prematurely answered write has arrived
BREACHES = [breach for breach in Breach if breach]
WAITS = (0, 0, 1, 3, 10, 40)


def breach(build: Build, seed: int) -> tuple[Breach, str]:
    """The breach for a seed, and how its run ended."""
    rng, breach = random.Random(f"breach {seed}"), BREACHES[seed % len(BREACHES)]
    timing = Timing(latency=rng.choice([1, 4, 17, 64]), outstanding=rng.choice([1, 4, 16]),
                    beat_interval=rng.choice([1, 1, 3]), stall_percent=rng.choice([0, 0, 30]), seed=seed)
    memory = np.random.default_rng(seed).integers(0, 256, MEMORY_BYTES + GUARD, np.uint8)
    ends: list[str] = []
    with RtlSimulator(build, memory, BASE, timing, seed) as simulator:
        async def one(board: DirectBoard) -> None:
            ends.append(await _case(board, breach, rng))

        try:
            complete(one(DirectBoard(simulator, TINY)))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {breach.name}: {error}") from error
    return breach, ends[0]


async def _case(board: DirectBoard, breach: Breach, rng: random.Random) -> str:
    """How the run ended."""
    program = Mixed(TINY, rng.randrange(1 << 30), rng.randint(1, 2)).program
    await start(board, program)
    board.simulator.plan_breach(breach, rng.choice(WAITS))
    before = board.memory.copy()
    expected = before.copy()
    expected[:MEMORY_BYTES] = build_memory(program)[:MEMORY_BYTES]
    Emulator(program, TINY).execute(expected, False)
    assert await board.run(LONGEST) is Stop.IRQ, "hangs"
    word = await status(board)
    await board.run(SETTLED)
    assert (board.memory[:program.write_base] == before[:program.write_base]).all(), "written before WRITE_BASE"
    assert (board.memory[MEMORY_BYTES:] == before[MEMORY_BYTES:]).all(), "written beyond WRITE_LIMIT"
    if word.done and breach is not Breach.DOUBLED_ANSWER:
        assert (board.memory == expected).all(), "done with wrong bytes"
    await board.reset()
    await check_program(board, small_program(TINY, rng.randrange(1 << 30)))
    return "done" if word.done else word.error.name
