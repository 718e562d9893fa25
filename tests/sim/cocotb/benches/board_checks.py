"""Properties of the accelerator, checked on any simulator with the methods of ``arrayloom.sim.cocotb.board.Board``."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
from board_faults import FAULTS, FETCH, Fault
from board_programs import (
    CONSTANTS,
    MEMORY_BYTES,
    RESULTS,
    Mixed,
    load_words,
    raw_program,
    small_program,
)
from board_runs import (
    START,
    WATCHDOG_CYCLES,
    Accelerator,
    check_program,
    finish,
    read_64,
    refused,
    start,
    status,
    stop,
    write_64,
)

from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.fields import CORE_UNITS, INSTRUCTION_BYTES, Unit, Units, encode_all
from arrayloom.isa.instructions import End
from arrayloom.isa.program import Program
from arrayloom.isa.registers import (
    CYCLE_BITS,
    IDENTITY_VALUE,
    RESET_VALUES,
    VERSION_VALUE,
    Cause,
    Error,
    Register,
    StateWord,
    StatusWord,
    counter_address,
)
from arrayloom.sim.rtl.simulator import Stop

READ_AHEAD = 2000           # cycles in which FETCH fills its buffer
POINTS = 4                  # cycles of a run, one of which is chosen for an event
SEED = 9
HELD_ROUNDS = 6
ADDRESSES = (Register.PROGRAM, Register.BASE, Register.LIMIT, Register.WRITE_BASE, Register.WRITE_LIMIT)
WIDE = dict.fromkeys(ADDRESSES, ADDRESS_BITS) | {Register.CYCLE_LIMIT: CYCLE_BITS}     # bits of two-word registers


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
        state = StateWord.decode(await board.read_register(Register.STATE + 4 * unit))
        assert state.cause is fault.cause
        assert fault.missing is None or state.missing == fault.missing
    if fault.tokens is not None:
        consumer, producer, count = fault.tokens
        assert await read_64(board, Register.TOKENS + 8 * consumer) == count << 8 * producer
    address = board.base + fault.address if fault.address is not None else 0
    assert await read_64(board, Register.ERROR_ADDRESS) == address
    board.clear_faults()


async def works(board: Accelerator) -> None:
    """A program that uses every unit runs as in a new accelerator."""
    await check_program(board, Mixed(board.config, 5, 1).program)


async def measured(board: Accelerator) -> tuple[Program, int]:
    """A program that keeps all units busy, and its cycles."""
    program = Mixed(board.config, SEED, 2).program
    await check_program(board, program)
    return program, await read_64(board, Register.CYCLES)


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
    """The constant registers, and refusals of reads and writes at addresses without a register."""
    assert await board.read_register(Register.IDENTITY) == IDENTITY_VALUE
    assert await board.read_register(Register.VERSION) == VERSION_VALUE
    assert await board.read_register(Register.CONFIG) == board.config.digest_word
    for address in (0x98, 0xE0, 0x114, 0x3FC, 0xFFC):
        assert await refused(board.read_register(address)), hex(address)
        assert await refused(board.write_register(address, 1)), hex(address)
    for register in (Register.IDENTITY, Register.VERSION, Register.CONFIG, Register.STATUS, Register.CYCLES,
                     Register.ERROR_UNIT, Register.COUNTERS):
        assert await refused(board.write_register(register, 1)), register.name
    for register in (Register.PROGRAM, Register.BASE, Register.LIMIT, Register.WRITE_BASE, Register.WRITE_LIMIT):
        await write_64(board, register, 0x9A_1234_5678)
        assert await read_64(board, register) == 0x9A_1234_5678
    await works(board)


async def held(board: Accelerator) -> None:
    """Every writable bit of every register keeps its written value, and no other bit changes."""
    rng = random.Random(41)
    for _ in range(HELD_ROUNDS):
        values = {low: rng.randrange(1 << bits) for low, bits in WIDE.items()}
        values[Register.WATCHDOG] = rng.randrange(1 << 32)
        for low, value in values.items():
            await board.write_register(low, value & 0xFFFF_FFFF)
            if low in WIDE:
                await board.write_register(low + 4, value >> 32)
        for low, value in values.items():
            assert (await read_64(board, low) if low in WIDE else await board.read_register(low)) == value, low.name
    for low, bits in WIDE.items():
        assert await refused(board.write_register(low + 4, 1 << bits - 32)), low.name
    await board.reset()
    await works(board)


async def interrupts(board: Accelerator) -> None:
    """The interrupt is pending after any end of a run, and active only while enabled."""
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
    """A second START and writes to PROGRAM and BASE are refused during a run; RESET ends it, neither done nor failed."""
    await start(board, raw_program(board.config, load_words(0, 0, 1, wait=Units.STORE).encode() + End().encode()))
    await board.run(300)
    assert (await status(board)) == StatusWord(True, False, False, Error.NONE)
    for register, value in ((Register.CONTROL, START), (Register.PROGRAM, 64), (Register.BASE_HIGH, 1)):
        assert await refused(board.write_register(register, value)), register.name
    await stop(board)
    assert not board.irq
    await works(board)


async def stopped(board: Accelerator) -> None:
    """RESET at any point of a run leaves nothing of it."""
    program, cycles = await measured(board)
    for point in random.Random(31).sample(range(cycles), POINTS):
        await start(board, program)
        await board.run(point)
        if (await status(board)).busy:
            await stop(board)
        await check_program(board, small_program(board.config, point))
    await works(board)


async def refused_anywhere(board: Accelerator) -> None:
    """A word that the bus refuses ends the run with the unit that requested it, whatever else is active."""
    program, _ = await measured(board)
    size = board.config.size
    results = Mixed(board.config, SEED, 2).result
    places = [(0, len(program.instructions), Error.BUS_READ, FETCH), (RESULTS, results, Error.BUS_WRITE, Unit.STORE),
              (CONSTANTS, CONSTANTS + len(program.constants), Error.BUS_READ, Unit.LOAD)]
    for point, (first, end, error, unit) in enumerate(places * (POINTS // 2)):
        board.add_fault(board.base + random.Random(point).randrange(first, end, size), size)
        await start(board, program)
        word = await finish(board)
        board.clear_faults()
        assert (word.error, await board.read_register(Register.ERROR_UNIT)) == (error, unit), (point, word)
        await check_program(board, small_program(board.config, point))
    await works(board)


async def misordered_anywhere(board: Accelerator) -> None:
    """A missing token ends in the watchdog, a token not taken is reported as left, any other change is illegal."""
    program, _ = await measured(board)
    instructions, rng = list(program), random.Random(32)
    for point in range(POINTS):
        giver = rng.choice([index for index, one in enumerate(instructions) if one.signal])
        taker = rng.choice([index for index, one in enumerate(instructions)
                            if one.UNIT is not None and one.wait & ~(1 << one.UNIT)])
        strange = rng.randrange(len(instructions))
        for index, changed, error in (
                (giver, replace(instructions[giver], signal=0).encode(), Error.WATCHDOG),
                (taker, replace(instructions[taker], wait=0).encode(), Error.TOKENS_LEFT),
                (strange, bytes(INSTRUCTION_BYTES), Error.ILLEGAL_INSTRUCTION)):
            code = [one.encode() for one in instructions]
            code[index] = changed
            await start(board, raw_program(board.config, b"".join(code), program.constants.tobytes()))
            word = await finish(board)
            assert word.error is error, (index, word)
            await check_program(board, small_program(board.config, point))
    await works(board)


async def patient(board: Accelerator) -> None:
    """While a unit works, the watchdog does not expire."""
    await check_program(board, Mixed(board.config, 6, 1).program, watchdog=500)


async def watchdog(board: Accelerator) -> None:
    """A run without progress ends after WATCHDOG cycles, or never if it is 0."""
    waits = raw_program(board.config, load_words(0, 0, 1, wait=Units.STORE).encode() + End().encode())
    await start(board, waits)
    for cycles in (WATCHDOG_CYCLES, 700):
        await board.write_register(Register.WATCHDOG, cycles)
        await finish(board)
        # FETCH reads ahead before progress stops.
        assert cycles < await read_64(board, Register.CYCLES) < cycles + READ_AHEAD
        await board.write_register(Register.CONTROL, START)
    await board.write_register(Register.WATCHDOG, 0)
    assert await board.run(4 * WATCHDOG_CYCLES) is Stop.LIMIT
    await board.write_register(Register.WATCHDOG, 700)
    assert (await finish(board)).error is Error.WATCHDOG
    await works(board)


async def edges(board: Accelerator) -> None:
    """A program at the very end of memory runs although FETCH reads ahead; one between instructions is illegal."""
    instructions = [load_words(0, 0, 16), End()]
    address = MEMORY_BYTES - len(instructions) * INSTRUCTION_BYTES
    await start(board, raw_program(board.config, encode_all(instructions).tobytes()))
    await finish(board)
    code = encode_all(instructions, address // INSTRUCTION_BYTES).tobytes()
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
    """After a reset in the middle of a run, all registers have their initial values."""
    await start(board, Mixed(board.config, 3, 2).program)
    await board.run(500)
    assert (await status(board)).busy
    await board.reset()
    for register in (Register.STATUS, Register.WATCHDOG, Register.PROGRAM, Register.BASE_HIGH, Register.LIMIT,
                     Register.WRITE_LIMIT, Register.FETCHED, Register.INTERRUPT, Register.INTERRUPT_ENABLE):
        assert await board.read_register(register) == RESET_VALUES.get(register, 0), register.name
    assert await read_64(board, Register.CYCLES) == 0
    for unit in CORE_UNITS:
        assert await read_64(board, counter_address(unit, Cause.IDLE)) == 0
    await works(board)


Check = Callable[[Accelerator], Awaitable[None]]
CHECKS: dict[str, Check] = {check.__name__: check for check in (
    works, identity, held, interrupts, busy, stopped, refused_anywhere, misordered_anywhere, patient, watchdog, edges,
    hard_reset)}
