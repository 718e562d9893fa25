"""Runs of programs on any simulator with the methods of ``arrayloom.sim.cocotb.board.Board``, and checks after each."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

import numpy as np
from emulated import remembered
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.image import build_memory, write_inputs
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause, Error, Register, StatusWord, blocks_of, counter_address
from arrayloom.isa.registers import Control as ControlBit
from arrayloom.sim.compare import compare_writes
from arrayloom.sim.emulator import Capture, Emulator
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.simulator import Stop

START, RESET = 1 << ControlBit.START, 1 << ControlBit.RESET
WATCHDOG_CYCLES = 3000      # longer than any wait for memory
LONGEST = 200_000           # cycles: a longer run hangs
LOW = 0xFFFF_FFFF

Inputs = Mapping[str, NDArray[Any]]


class Accelerator(Protocol):
    """The board, or the in-process simulator with the same methods."""

    config: Config
    memory: NDArray[np.uint8]
    base: int

    @property
    def irq(self) -> bool: ...
    async def read_register(self, address: int) -> int: ...
    async def write_register(self, address: int, value: int) -> None: ...
    async def run(self, max_cycles: int) -> Stop: ...
    async def reset(self) -> None: ...
    async def reset_core(self, cycles: int = ...) -> None: ...
    def add_fault(self, address: int, size: int) -> None: ...
    def clear_faults(self) -> None: ...
    def take_trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]: ...


async def read_64(board: Accelerator, address: int) -> int:
    return await board.read_register(address) | await board.read_register(address + 4) << 32


async def write_64(board: Accelerator, address: int, value: int) -> None:
    await board.write_register(address, value & LOW)
    await board.write_register(address + 4, value >> 32)


async def status(board: Accelerator) -> StatusWord:
    return StatusWord.decode(await board.read_register(Register.STATUS))


async def refused(access: Awaitable[Any]) -> bool:
    try:
        await access
    except SimulationError:
        return True
    return False


async def start(board: Accelerator, program: Program, inputs: Inputs | None = None, interrupt: int = 1,
                watchdog: int = WATCHDOG_CYCLES) -> None:
    """Places a program and its inputs in memory and starts it."""
    image = build_memory(program)
    write_inputs(image, program, inputs or {})
    board.memory[:image.size] = image
    end = board.base + program.memory_bytes
    for register, value in ((Register.PROGRAM, board.base + program.code_address), (Register.BASE, board.base),
                            (Register.LIMIT, end), (Register.WRITE_BASE, board.base + program.write_base),
                            (Register.WRITE_LIMIT, end)):
        await write_64(board, register, value)
    await board.write_register(Register.WATCHDOG, watchdog)
    await board.write_register(Register.INTERRUPT_ENABLE, interrupt)
    await board.write_register(Register.CONTROL, START)


async def begun(board: Accelerator, before: int) -> None:
    """Waits until START has taken effect; until then POST may finish writes of the last run, of ``before`` cycles."""
    for _ in range(WATCHDOG_CYCLES):
        if await read_64(board, Register.CYCLES) != before:
            return
    raise AssertionError("START has no effect")


async def finish(board: Accelerator) -> StatusWord:
    """Waits for the interrupt, and clears it."""
    assert await board.run(LONGEST) is Stop.IRQ, "hangs"
    assert await board.read_register(Register.INTERRUPT) == 1
    await board.write_register(Register.INTERRUPT, 1)
    assert not board.irq
    word = await status(board)
    assert not word.busy and word.done != word.failed
    await check_counters(board)
    return word


async def stop(board: Accelerator, patience: int = WATCHDOG_CYCLES) -> None:
    """Ends a run by RESET, which waits at most ``patience`` cycles for outstanding bursts; neither done nor failed."""
    await board.write_register(Register.CONTROL, RESET)
    for _ in range(patience // 100):
        await board.run(100)
        if not (await status(board)).busy:
            break
    assert await status(board) == StatusWord(False, False, False, Error.NONE)


async def check_counters(board: Accelerator) -> None:
    """Each cycle of each unit is counted for exactly one cause."""
    cycles = await read_64(board, Register.CYCLES)
    assert cycles > 0
    for block in blocks_of(CORE_UNITS):
        counted = {cause.name: await read_64(board, counter_address(block, cause)) for cause in Cause}
        assert sum(counted.values()) == cycles, (block.name, counted)


def _emulated(program: Program, board: Accelerator) -> tuple[NDArray[np.uint8], Capture]:
    """Memory after the program, and POST's writes."""
    memory, emulator = board.memory.copy(), Emulator(program, board.config)
    emulator.execute(memory, True)
    return memory, emulator.capture


async def check_program(board: Accelerator, program: Program, inputs: Inputs | None = None,
                        watchdog: int = WATCHDOG_CYCLES) -> None:
    """The program succeeds, and memory, every write of POST and all counters equal the emulator's."""
    before = await read_64(board, Register.CYCLES)
    await start(board, program, inputs, watchdog=watchdog)
    await begun(board, before)
    board.take_trace()
    expected, capture = remembered("program", program, [board.memory], lambda: _emulated(program, board))
    word = await finish(board)
    assert word == StatusWord(False, True, False, Error.NONE), word
    comparison = compare_writes(program, capture, *board.take_trace())
    assert comparison.bytes_compared > 0 and comparison.first is None, str(comparison.first)
    assert (board.memory == expected).all()
    instructions = list(program)
    assert await board.read_register(Register.FETCHED) == len(instructions)
    for unit in CORE_UNITS:
        count = sum(instruction.UNIT is unit for instruction in instructions)
        assert await board.read_register(Register.RETIRED + 4 * unit) == count, unit.name
        assert await board.read_register(Register.STATE + 4 * unit) == 0, unit.name
        assert await read_64(board, Register.TOKENS + 8 * unit) == 0, unit.name
