"""Addresses of programs and data: any base, any window, every address bit."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
from board_programs import MEMORY_BYTES, RESULTS, load_words, small_program, store_words
from board_runs import START, WATCHDOG_CYCLES, Accelerator, read_64, write_64
from numpy.typing import NDArray

from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, Unit, encode_all
from arrayloom.isa.image import build_memory
from arrayloom.isa.instructions import ADDRESS, End
from arrayloom.isa.registers import Block, Error, Register, StatusWord
from arrayloom.sim.emulator import Emulator
from arrayloom.sim.rtl.simulator import Stop

ROUNDS = 3          # runs per session, each with another offset
CODE = 0            # address of the code in memory
BEYOND = 1 << ADDRESS_BITS
Code = NDArray[np.uint8]
Ended = tuple[Error, int, int]      # error, ERROR_UNIT and ERROR_ADDRESS


async def ended(board: Accelerator, cycles: int = 20 * WATCHDOG_CYCLES) -> Ended:
    """How the started run ends, within the given number of cycles."""
    assert await board.run(cycles) is Stop.IRQ, "hangs"
    await board.write_register(Register.INTERRUPT, 1)
    word = StatusWord.decode(await board.read_register(Register.STATUS))
    assert not word.busy and word.done != word.failed
    unit = await board.read_register(Register.ERROR_UNIT) if word.failed else 0
    return word.error, unit, await read_64(board, Register.ERROR_ADDRESS)


class Layout:
    """A memory that is visible ``offset`` bytes above the base."""

    def __init__(self, board: Accelerator, offset: int) -> None:
        self.board, self.offset = board, offset
        self.end = board.base + MEMORY_BYTES
        self.windows = {Register.BASE: board.base - offset, Register.LIMIT: self.end,
                        Register.WRITE_BASE: board.base + RESULTS, Register.WRITE_LIMIT: self.end}

    def code(self, instructions: list[Instruction], at: int = CODE) -> Code:
        """The instructions, encoded to run from there."""
        return encode_all(instructions, (self.offset + at) // INSTRUCTION_BYTES).ravel()

    async def start(self, code: Code, at: int = CODE, **windows: int) -> None:
        """``windows``: registers with other than default values."""
        self.board.memory[at:at + code.size] = code
        await write_64(self.board, Register.PROGRAM, self.board.base + at)
        for register, value in (self.windows | {Register[name]: value for name, value in windows.items()}).items():
            await write_64(self.board, register, value)
        await self.board.write_register(Register.CONTROL, START)

    async def result(self, *instructions: Instruction, at: int = CODE, **windows: int) -> Ended:
        """How a run of these instructions and End ends."""
        await self.start(self.code([*instructions, End()], at), at, **windows)
        return await ended(self.board)


async def prepare(board: Accelerator, watchdog: int = WATCHDOG_CYCLES) -> None:
    await board.write_register(Register.WATCHDOG, watchdog)
    await board.write_register(Register.INTERRUPT_ENABLE, 1)


async def anywhere(board: Accelerator) -> None:
    """A program runs for any address of memory and any distance from BASE, and accesses no word outside its windows."""
    rng = random.Random(board.base)
    await prepare(board)
    for number in range(ROUNDS):
        most = min(board.base, (1 << ADDRESS) - 2 * MEMORY_BYTES)
        offset = rng.randrange(0, most + 1, INSTRUCTION_BYTES) if number else most & -INSTRUCTION_BYTES
        layout = Layout(board, offset)
        await _whole_program(board, layout, rng)
        await _beyond_reads(layout, rng)
        await _beyond_writes(layout, rng)
        await _beyond_code(layout, rng)


async def _whole_program(board: Accelerator, layout: Layout, rng: random.Random) -> None:
    program = small_program(board.config, rng.randrange(1 << 20))
    expected = build_memory(program)
    Emulator(program, board.config).execute(expected, False)
    board.memory[:] = build_memory(program)
    moved = [replace(one, address=one.address + layout.offset) if hasattr(one, "address") else one      # type: ignore[call-arg]
             for one in program]
    at = rng.randrange(len(moved), RESULTS // 2 // INSTRUCTION_BYTES - len(moved)) * INSTRUCTION_BYTES
    await layout.start(layout.code(moved, at), at)
    assert await ended(board) == (Error.NONE, 0, 0)
    assert (board.memory[RESULTS:] == expected[RESULTS:]).all()


def _somewhere(rng: random.Random, layout: Layout, size: int) -> int:
    """A word as far from the base as an instruction can address, as a bus address; memory need not exist there."""
    base = layout.windows[Register.BASE]
    most = min((1 << ADDRESS) - 1, BEYOND - 1 - base) - MEMORY_BYTES
    bits = rng.randrange(MEMORY_BYTES.bit_length(), ADDRESS + 1)
    return base + max(min(rng.randrange(1 << bits), most), layout.offset + MEMORY_BYTES) // size * size


async def _beyond_reads(layout: Layout, rng: random.Random) -> None:
    """A transfer that ends at the limit is read; one that ends a word or a byte later is refused."""
    board, size, base = layout.board, layout.board.config.size, layout.windows[Register.BASE]
    words = rng.randrange(1, 40)
    last = layout.end - size * words
    assert await layout.result(load_words(last - base, 0, words), LIMIT=layout.end) == (Error.NONE, 0, 0)
    refused = (Error.READ_OUTSIDE, Unit.LOAD)
    assert await layout.result(load_words(last - base, 0, words), LIMIT=layout.end - 1) == (*refused, last)
    for _ in range(8):
        begin, words = _somewhere(rng, layout, size), rng.randrange(1, 1 << rng.randrange(1, 13))
        short = rng.choice([1, size, size * words])
        limit = min(begin + size * words - short, BEYOND - 1)
        assert await layout.result(load_words(begin - base, 0, words), LIMIT=limit) == (*refused, begin)
    assert board.base - base == layout.offset


async def _beyond_writes(layout: Layout, rng: random.Random) -> None:
    """The same for writes, at both ends of the window."""
    size, base = layout.board.config.size, layout.windows[Register.BASE]
    first, words = layout.board.base + RESULTS + size * rng.randrange(100), rng.randrange(1, 40)
    inside = {"WRITE_BASE": first - rng.randrange(size), "WRITE_LIMIT": first + size * words + rng.randrange(size)}
    assert await layout.result(store_words(first - base, 0, words), **inside) == (Error.NONE, 0, 0)
    refused = (Error.WRITE_OUTSIDE, Unit.STORE)
    for _ in range(8):
        begin, words = _somewhere(rng, layout, size), rng.randrange(1, 1 << rng.randrange(1, 13))
        early = {"WRITE_BASE": begin + rng.randrange(1, size + 1), "WRITE_LIMIT": BEYOND - 1}
        late = {"WRITE_BASE": base + rng.randrange(1 << 20) % (begin - base),
                "WRITE_LIMIT": min(begin + size * words - rng.choice([1, size, size * words]), BEYOND - 1)}
        assert await layout.result(store_words(begin - base, 0, words), **early) == (*refused, begin)
        assert await layout.result(store_words(begin - base, 0, words), **late) == (*refused, begin)


async def _beyond_code(layout: Layout, rng: random.Random) -> None:
    """Code is read up to the limit, not below the base, and only at whole instructions."""
    board = layout.board
    at = INSTRUCTION_BYTES * rng.randrange(8, 60)
    end = board.base + at + INSTRUCTION_BYTES
    assert await layout.result(at=at, LIMIT=end) == (Error.NONE, 0, 0)
    for short in (1, board.config.size, INSTRUCTION_BYTES):
        error, unit, address = await layout.result(at=at, LIMIT=end - short)
        assert (error, unit) == (Error.READ_OUTSIDE, Block.FETCH)
        assert end - INSTRUCTION_BYTES <= address < end, hex(address)
    for program in (layout.windows[Register.BASE] - INSTRUCTION_BYTES * rng.randrange(1, 1 << rng.randrange(1, 20)), *(
            board.base + (1 << bit) for bit in range(INSTRUCTION_BYTES.bit_length() - 1))):
        if program >= 0:
            await write_64(board, Register.PROGRAM, program)
            await board.write_register(Register.CONTROL, START)
            outside = program < layout.windows[Register.BASE] and not program % INSTRUCTION_BYTES
            error, unit, address = await ended(board)
            assert (error, unit) == (Error.READ_OUTSIDE if outside else Error.ILLEGAL_INSTRUCTION, Block.FETCH)
            assert address == (program if outside else 0)


def bases() -> list[Any]:
    """Memory at both ends of the bus's addresses, and anywhere between."""
    rng = random.Random(3)
    last = BEYOND - 2 * MEMORY_BYTES     # no register can hold the end of all addresses
    return [0, last, 0x55_5555_0000, 0xAA_AAAA_0000, *(rng.randrange(0, last, 1 << 12) for _ in range(6))]
