"""What must hold for the accelerator, on any simulator that has the methods of ``sim.cocotb.board.Board``."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import numpy as np
from board_faults import FAULTS, FETCH, Fault
from board_programs import MEMORY_BYTES, RESULTS, Mixed, load_words, raw_program, small_program, store_words
from numpy.typing import NDArray

from isa.config import Config
from isa.fields import INSTRUCTION_BYTES, Unit, Units
from isa.image import build_memory, write_inputs
from isa.instructions import End
from isa.program import Program
from isa.registers import IDENTITY_VALUE, VERSION_VALUE, Cause, Error, Register, StatusWord, counter_address
from isa.registers import Control as ControlBit
from sim.compare import compare_writes
from sim.emulator import Emulator
from sim.rtl.errors import SimulationError
from sim.rtl.simulator import Stop

START, RESET = 1 << ControlBit.START, 1 << ControlBit.RESET
WATCHDOG_CYCLES = 3000      # above any wait for memory
LONGEST = 200_000           # cycles: a run that has not ended by then hangs
READ_AHEAD = 2000           # cycles in which FETCH fills its buffer
LOW = 0xFFFF_FFFF

Inputs = Mapping[str, NDArray[Any]]


class Accelerator(Protocol):
    """The board, or the in-process simulator behind the same methods."""

    config: Config
    memory: NDArray[np.uint8]
    base: int

    @property
    def irq(self) -> bool: ...
    async def read_register(self, address: int) -> int: ...
    async def write_register(self, address: int, value: int) -> None: ...
    async def run(self, max_cycles: int) -> Stop: ...
    async def reset(self) -> None: ...
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


async def start(board: Accelerator, program: Program, inputs: Inputs | None = None, interrupt: int = 1) -> None:
    """Places a program and its inputs in memory and starts it."""
    image = build_memory(program)
    write_inputs(image, program, inputs or {})
    board.memory[:image.size] = image
    await write_64(board, Register.PROGRAM, board.base + program.code_address)
    await write_64(board, Register.BASE, board.base)
    await board.write_register(Register.WATCHDOG, WATCHDOG_CYCLES)
    await board.write_register(Register.INTERRUPT_ENABLE, interrupt)
    await board.write_register(Register.CONTROL, START)


async def finish(board: Accelerator) -> StatusWord:
    """Waits for the interrupt, and takes it back."""
    assert await board.run(LONGEST) is Stop.IRQ, "hangs"
    assert await board.read_register(Register.INTERRUPT) == 1
    await board.write_register(Register.INTERRUPT, 1)
    assert not board.irq
    word = await status(board)
    assert not word.busy and word.done != word.failed
    await check_counters(board)
    return word


async def stop(board: Accelerator) -> None:
    """Ends a run by RESET, which waits for what is under way on the bus: the run is neither done nor failed."""
    await board.write_register(Register.CONTROL, RESET)
    for _ in range(WATCHDOG_CYCLES // 100):
        await board.run(100)
        if not (await status(board)).busy:
            break
    assert await status(board) == StatusWord(False, False, False, Error.NONE)


async def check_counters(board: Accelerator) -> None:
    """Each cycle of each unit counts for one cause."""
    cycles = await read_64(board, Register.CYCLES)
    assert cycles > 0
    for unit in Unit:
        counted = {cause.name: await read_64(board, counter_address(unit, cause)) for cause in Cause}
        assert sum(counted.values()) == cycles, (unit.name, counted)


async def check_program(board: Accelerator, program: Program, inputs: Inputs | None = None) -> None:
    """The program ends well, and memory, every write of POST, and all counts are as the emulator says."""
    board.take_trace()
    await start(board, program, inputs)
    expected = board.memory.copy()
    emulator = Emulator(program, board.config)
    emulator.execute(expected, True)
    word = await finish(board)
    assert word == StatusWord(False, True, False, Error.NONE), word
    comparison = compare_writes(program, emulator.capture, *board.take_trace())
    assert comparison.bytes_compared > 0 and comparison.first is None, str(comparison.first)
    assert (board.memory == expected).all()
    instructions = list(program)
    assert await board.read_register(Register.FETCHED) == len(instructions)
    for unit in Unit:
        count = sum(instruction.UNIT is unit for instruction in instructions)
        assert await board.read_register(Register.RETIRED + 4 * unit) == count, unit.name
        assert await board.read_register(Register.STATE + 4 * unit) == 0, unit.name
        assert await board.read_register(Register.TOKENS + 4 * unit) == 0, unit.name


async def works(board: Accelerator) -> None:
    """A program that uses every unit runs as if nothing had been before."""
    await check_program(board, Mixed(board.config, 5, 1).program)


async def check_fault(board: Accelerator, fault: Fault) -> None:
    """The run ends with the error and its unit; afterwards the accelerator works again."""
    if fault.bad is not None:
        board.add_fault(board.base + fault.bad.start, len(fault.bad))
    await start(board, fault.make(board.config))
    word = await finish(board)
    assert word.failed and word.error is fault.error, word
    unit = await board.read_register(Register.ERROR_UNIT)
    assert unit == fault.unit, unit
    if fault.cause is not None:
        assert await board.read_register(Register.STATE + 4 * unit) >> 16 & 0xF == fault.cause
    if fault.tokens is not None:
        consumer, producer, count = fault.tokens
        assert await board.read_register(Register.TOKENS + 4 * consumer) == count << 8 * producer
    board.clear_faults()


async def check_faults(board: Accelerator, group: str) -> None:
    """Every fault of the group, with a good run after each."""
    good = small_program(board.config, 7)
    for name, fault in FAULTS[group].items():
        try:
            await check_fault(board, fault)
            await check_program(board, good)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    await works(board)


async def identity(board: Accelerator) -> None:
    """The constant registers, and refusals where there is none to read or write."""
    assert await board.read_register(Register.IDENTITY) == IDENTITY_VALUE
    assert await board.read_register(Register.VERSION) == VERSION_VALUE
    assert await board.read_register(Register.CONFIG) == int(board.config.digest[:8], 16)
    for address in (0x80, 0xFC, 0x200, 0xFFC):
        assert await refused(board.read_register(address)), hex(address)
        assert await refused(board.write_register(address, 1)), hex(address)
    for register in (Register.IDENTITY, Register.VERSION, Register.CONFIG, Register.STATUS, Register.CYCLES,
                     Register.ERROR_UNIT, Register.COUNTERS):
        assert await refused(board.write_register(register, 1)), register.name
    for register in (Register.PROGRAM, Register.BASE):
        await write_64(board, register, 0x9A_1234_5678)
        assert await read_64(board, register) == 0x9A_1234_5678
    await works(board)


async def interrupts(board: Accelerator) -> None:
    """The interrupt is pending after any end of a run, and up only while it is enabled."""
    for program, done in ((raw_program(board.config, End().encode()), True), (raw_program(board.config, b""), False)):
        await start(board, program, interrupt=0)
        assert await board.run(2000) is Stop.LIMIT
        assert (await status(board)).done is done
        assert await board.read_register(Register.INTERRUPT) == 1
        await board.write_register(Register.INTERRUPT, 0)
        assert await board.read_register(Register.INTERRUPT) == 1
        await board.write_register(Register.INTERRUPT_ENABLE, 1)
        assert board.irq
        await board.write_register(Register.INTERRUPT_ENABLE, 0)
        assert not board.irq
        await board.write_register(Register.INTERRUPT_ENABLE, 1)
        await start(board, raw_program(board.config, End().encode()))
        await finish(board)
    await works(board)


async def busy(board: Accelerator) -> None:
    """In a run a second START and writes to PROGRAM and BASE are refused; RESET ends it, neither done nor failed."""
    await start(board, raw_program(board.config, load_words(0, 0, 1, wait=Units.STORE).encode() + End().encode()))
    await board.run(300)
    assert (await status(board)) == StatusWord(True, False, False, Error.NONE)
    for register, value in ((Register.CONTROL, START), (Register.PROGRAM, 64), (Register.BASE_HIGH, 1)):
        assert await refused(board.write_register(register, value)), register.name
    await stop(board)
    assert not board.irq
    await works(board)


async def stopped(board: Accelerator) -> None:
    """RESET in the middle of transfers leaves nothing behind, at whatever point it comes."""
    program = raw_program(board.config, b"".join(one.encode() for one in (
        load_words(RESULTS, 0, 2000, signal=Units.STORE), store_words(RESULTS, 4000, 2000),
        store_words(RESULTS + 8192, 6000, 2000, wait=Units.LOAD), End())))
    for cycles in (5, 37, 120, 400, 1100):
        await start(board, program)
        await board.run(cycles)
        assert (await status(board)).busy
        await stop(board)
        await works(board)


async def watchdog(board: Accelerator) -> None:
    """A run without progress ends after as many cycles as WATCHDOG says, and with 0 never."""
    waits = raw_program(board.config, load_words(0, 0, 1, wait=Units.STORE).encode() + End().encode())
    await start(board, waits)
    for cycles in (WATCHDOG_CYCLES, 700):
        await board.write_register(Register.WATCHDOG, cycles)
        await finish(board)
        # FETCH reads ahead before nothing moves any more.
        assert cycles < await read_64(board, Register.CYCLES) < cycles + READ_AHEAD
        await board.write_register(Register.CONTROL, START)
    await board.write_register(Register.WATCHDOG, 0)
    assert await board.run(4 * WATCHDOG_CYCLES) is Stop.LIMIT
    await board.write_register(Register.WATCHDOG, 700)
    assert (await finish(board)).error is Error.WATCHDOG
    await works(board)


async def edges(board: Accelerator) -> None:
    """A program at the very end of memory runs, though FETCH reads on; one between instructions is illegal."""
    code = load_words(0, 0, 16).encode() + End().encode()
    await start(board, raw_program(board.config, code))
    await finish(board)
    address = MEMORY_BYTES - len(code)
    board.memory[address:] = np.frombuffer(code, np.uint8)
    await write_64(board, Register.PROGRAM, board.base + address)
    await board.write_register(Register.CONTROL, START)
    assert (await finish(board)).done
    assert await board.read_register(Register.FETCHED) == len(code) // INSTRUCTION_BYTES
    await write_64(board, Register.PROGRAM, board.base + address + 32)
    await board.write_register(Register.CONTROL, START)
    word = await finish(board)
    assert word.error is Error.ILLEGAL_INSTRUCTION and await board.read_register(Register.ERROR_UNIT) == FETCH
    await works(board)


async def hard_reset(board: Accelerator) -> None:
    """After a reset in the middle of a run all registers are as in the beginning."""
    await start(board, Mixed(board.config, 3, 2).program)
    await board.run(500)
    assert (await status(board)).busy
    await board.reset()
    for register in (Register.STATUS, Register.WATCHDOG, Register.PROGRAM, Register.BASE_HIGH, Register.FETCHED,
                     Register.INTERRUPT, Register.INTERRUPT_ENABLE):
        assert await board.read_register(register) == 0, register.name
    assert await read_64(board, Register.CYCLES) == 0
    for unit in Unit:
        assert await read_64(board, counter_address(unit, Cause.IDLE)) == 0
    await works(board)


Check = Callable[[Accelerator], Awaitable[None]]
CHECKS: dict[str, Check] = {check.__name__: check for check in (
    works, identity, interrupts, busy, stopped, watchdog, edges, hard_reset)}
