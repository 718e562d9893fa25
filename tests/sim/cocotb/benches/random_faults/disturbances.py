"""Disturbances of a run, and its required end."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from board_faults import FETCH
from board_programs import CONSTANTS, RESULTS, Mixed, raw_program
from board_runs import (
    LONGEST,
    START,
    Accelerator,
    begun,
    check_program,
    finish,
    read_64,
    refused,
    start,
    status,
    stop,
)

from arrayloom.isa.fields import INSTRUCTION_BYTES, Unit
from arrayloom.isa.image import build_memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import REGISTER_ADDRESS_BITS, REGISTER_BYTES, Error, Register
from arrayloom.sim.emulator import Emulator
from arrayloom.sim.rtl.simulator import Stop

MOST_ROUNDS = 3
PAUSE = 500         # largest number of cycles between accesses to registers
ACCESSES = 20
QUIET = 20_000      # cycles that the slowest memory needs for all outstanding requests
SETTLED = 200       # cycles before the end of a run during which it may end while registers are written
FLIPS = (1, 1, 1, 2, 3)

Disturbance = Callable[[Accelerator, random.Random], Awaitable[None]]


def _mixed(board: Accelerator, rng: random.Random) -> Mixed:
    """A program that keeps all units busy."""
    return Mixed(board.config, rng.randrange(1 << 30), rng.randint(1, MOST_ROUNDS))


async def nothing(board: Accelerator, rng: random.Random) -> None:
    """Only the memory's timing."""
    await check_program(board, _mixed(board, rng).program)


async def registers(board: Accelerator, rng: random.Random) -> None:
    """Reads of any register, and writes that must be refused, change nothing."""
    program = _mixed(board, rng).program
    await check_program(board, program)
    cycles = await read_64(board, Register.CYCLES)
    middle = cycles // 2        # until then the run has not ended and accepts no write
    expected = build_memory(program)
    Emulator(program, board.config).execute(expected, False)
    await start(board, program)
    await begun(board, cycles)
    while await read_64(board, Register.CYCLES) < middle:
        await board.run(rng.randrange(1, PAUSE))
        for _ in range(rng.randrange(1, ACCESSES)):
            await refused(board.read_register(rng.randrange(0, 1 << REGISTER_ADDRESS_BITS, REGISTER_BYTES)))
        if await read_64(board, Register.CYCLES) < middle:
            for register in (Register.PROGRAM, Register.BASE_HIGH, Register.WRITE_LIMIT, Register.IDENTITY):
                assert await refused(board.write_register(register, rng.randrange(1 << 32))), register.name
            assert await refused(board.write_register(Register.CONTROL, START)), "a second START"
    word = await finish(board)
    assert word.done, word
    assert (board.memory[:expected.size] == expected).all(), "other memory than the emulator's"


async def abort(board: Accelerator, rng: random.Random) -> None:
    """RESET at any point of a run."""
    await _begin_until_somewhere(board, rng)
    await stop(board, QUIET)


async def hard_reset(board: Accelerator, rng: random.Random) -> None:
    """The hardware reset at any point of a run."""
    await _begin_until_somewhere(board, rng)
    await board.reset()
    assert not (await status(board)).busy and await read_64(board, Register.CYCLES) == 0


async def core_reset(board: Accelerator, rng: random.Random) -> None:
    """The reset of the core alone at any point of a run: its outstanding bursts complete, and write nothing else."""
    await _begin_until_somewhere(board, rng)
    before = board.memory.copy()
    await board.reset_core(rng.choice([1, 2, 20]))
    assert not (await status(board)).busy and await read_64(board, Register.CYCLES) == 0
    if rng.random() < 0.5:      # otherwise the next run begins during outstanding bursts
        await board.run(QUIET)
        assert await board.read_register(Register.BURSTS) == 0
    assert (board.memory[:RESULTS] == before[:RESULTS]).all()


async def _begin_until_somewhere(board: Accelerator, rng: random.Random) -> None:
    program = _mixed(board, rng).program
    await check_program(board, program)
    cycles = await read_64(board, Register.CYCLES)
    await start(board, program)
    await board.run(rng.randrange(max(cycles - SETTLED, 1)))


async def refused_word(board: Accelerator, rng: random.Random) -> None:
    """The bus refuses a word of code, constants or results: the run ends with the unit that requested it."""
    mixed, size = _mixed(board, rng), board.config.size
    program = mixed.program
    first, end, error, unit = rng.choice([
        (0, len(program.instructions), Error.BUS_READ, FETCH), (RESULTS, mixed.result, Error.BUS_WRITE, Unit.STORE),
        (CONSTANTS, CONSTANTS + len(program.constants), Error.BUS_READ, Unit.LOAD)])
    board.add_fault(board.base + rng.randrange(first, end, size), size)
    await start(board, program)
    word = await finish(board)
    after = board.memory.copy()
    board.clear_faults()
    assert (word.error, await board.read_register(Register.ERROR_UNIT)) == (error, unit), word
    await board.run(QUIET)
    assert (board.memory == after).all(), "written after the end of the run"


async def lost_token(board: Accelerator, rng: random.Random) -> None:
    """A missing token ends in the watchdog."""
    await _changed(board, rng, lambda one: bool(one.signal), {"signal": 0}, Error.WATCHDOG)


async def left_token(board: Accelerator, rng: random.Random) -> None:
    """A token that nobody takes is reported as left."""
    await _changed(board, rng, lambda one: one.UNIT is not None and bool(one.wait & ~(1 << one.UNIT)), {"wait": 0},
                   Error.TOKENS_LEFT)


async def _changed(board: Accelerator, rng: random.Random, suits: Callable[..., bool], change: dict[str, int],
                   error: Error) -> None:
    """Changes fields of a suitable instruction; the run must end in the error."""
    program = _mixed(board, rng).program
    instructions = list(program)
    index = rng.choice([number for number, one in enumerate(instructions) if suits(one)])
    code = [one.encode() for one in instructions]
    code[index] = replace(instructions[index], **change).encode()
    await start(board, _with_code(board, program, b"".join(code)))
    word = await finish(board)
    assert word.error is error, (index, word)


async def flipped_bits(board: Accelerator, rng: random.Random) -> None:
    """Flips bits of an instruction, which then must not be executed."""
    program = _mixed(board, rng).program
    changed = _flipped(program, rng)
    await start(board, raw_program(board.config, changed, program.constants.tobytes(), sealed=False))
    word = await finish(board)
    if changed == program.instructions.tobytes():       # the same bit was flipped twice
        assert word.done
    else:
        assert (word.error, await board.read_register(Register.ERROR_UNIT)) == (Error.DAMAGED_INSTRUCTION, FETCH), word


async def wild(board: Accelerator, rng: random.Random) -> None:
    """Replaces an instruction by another valid one: the run ends by itself or by RESET, and writes only within limits."""
    program = _mixed(board, rng).program
    changed = _with_code(board, program, _flipped(program, rng))
    await start(board, changed)
    before = board.memory.copy()
    if await board.run(LONGEST) is Stop.IRQ:
        await finish(board)
    else:       # it may have become a very long instruction
        await stop(board, QUIET)
    after = board.memory.copy()
    assert (after[:changed.write_base] == before[:changed.write_base]).all(), "written before WRITE_BASE"
    assert (after[changed.memory_bytes:] == before[changed.memory_bytes:]).all(), "written beyond WRITE_LIMIT"
    await board.run(QUIET)
    assert (board.memory == after).all(), "written after the end of the run"


def _flipped(program: Program, rng: random.Random) -> bytes:
    code = bytearray(program.instructions.tobytes())
    index = rng.randrange(len(code) // INSTRUCTION_BYTES)
    for _ in range(rng.choice(FLIPS)):
        bit = rng.randrange(8 * INSTRUCTION_BYTES)
        code[index * INSTRUCTION_BYTES + bit // 8] ^= 1 << bit % 8
    return bytes(code)


def _with_code(board: Accelerator, program: Program, code: bytes) -> Program:
    return raw_program(board.config, code, program.constants.tobytes())


DISTURBANCES: dict[str, Disturbance] = {disturbance.__name__: disturbance for disturbance in (
    nothing, registers, abort, hard_reset, core_reset, refused_word, lost_token, left_token, flipped_bits, wild)}
