"""Counts that only long transfers reach, ends of transfers on chip, and counters of causes that a run does not have."""

from board_programs import RESULTS, Mixed, small_program
from board_runs import Accelerator, check_program, read_64
from board_windows import Layout, ended, prepare

from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.instructions import End, LoadActivations, Store
from arrayloom.isa.instructions.widths import EXTENT, WORD_ADDRESS
from arrayloom.isa.registers import Block, Cause, Error, Register, blocks_of, counter_address

ROWS = (0xFFFF, 0x5555, 0x2AAA)     # every bit of the number of rows, and every second one
ONE = {"address": RESULTS, "words": 1, "memory_pitch": 0, "chip_pitch": 0}
CYCLES_PER_ROW = 8
PROGRAMS = (7, 8)                   # seeds


async def many_loads(board: Accelerator) -> None:
    """Loads of the same word again and again read as many words as they have rows."""
    code = FETCH_BUFFER_BYTES // board.config.size      # words read in addition, at most
    for rows in ROWS:
        await _repeat(board, LoadActivations(destination=0, rows=rows, **ONE), rows)
        assert 0 <= await read_64(board, Register.BEATS_READ) - rows <= code


async def many_stores(board: Accelerator) -> None:
    """Stores of the same word again and again write as many words as they have rows."""
    for rows in ROWS:
        await _repeat(board, Store(source=0, rows=rows, **ONE), rows)
        assert await read_64(board, Register.BEATS_WRITTEN) == rows


async def _repeat(board: Accelerator, transfer: Instruction, rows: int) -> None:
    layout = Layout(board, 0)
    await prepare(board)
    await layout.start(layout.code([transfer, End()]))
    assert await ended(board, CYCLES_PER_ROW * rows) == (Error.NONE, 0, 0)


async def absent_causes(board: Accelerator) -> None:
    """After runs with every cause, a run with few counts only those, and one without instructions only idle units."""
    layout = Layout(board, 0)
    for seed in PROGRAMS:
        await check_program(board, Mixed(board.config, seed, 2).program)
        await check_program(board, small_program(board.config, seed))
        await check_program(board, Mixed(board.config, seed, 2).program)
        await prepare(board)
        assert await layout.result() == (Error.NONE, 0, 0)
        cycles = await read_64(board, Register.CYCLES)
        for block in blocks_of(CORE_UNITS):
            counts = {cause: await read_64(board, counter_address(block, cause)) for cause in Cause}
            assert sum(counts.values()) == cycles, (block, counts)
            assert block is Block.FETCH or counts[Cause.IDLE] == cycles, (block, counts)


async def chip_ends(board: Accelerator) -> None:
    """A transfer may end with the last word on chip; one that ends later is illegal, whichever bit of its end is set."""
    layout, last = Layout(board, 0), board.config.activation_words
    await prepare(board)
    for unit, place in ((Unit.LOAD, "destination"), (Unit.STORE, "source")):
        for end in _ends(last):
            wanted = (Error.NONE, 0, 0) if end == last else (Error.ILLEGAL_INSTRUCTION, unit, 0)
            for words in (1, 5):
                one = ONE | {"words": words, "rows": 1, place: end - words}
                two = ONE | {"words": words, "rows": 2, place: 7, "chip_pitch": end - words - 7}
                for fields in (one, two) if end - words - 7 < 1 << EXTENT else (one,):
                    transfer = LoadActivations(**fields) if unit is Unit.LOAD else Store(**fields)
                    assert await layout.result(transfer) == wanted, (unit, end, fields)


def _ends(last: int) -> list[int]:
    """The end of the words on chip, and addresses beyond it that differ from it in one bit, or have only one."""
    bits = [1 << bit for bit in range(WORD_ADDRESS)]
    return [last, *(last + bit for bit in bits if bit < last), *(bit for bit in bits if bit > last)]
