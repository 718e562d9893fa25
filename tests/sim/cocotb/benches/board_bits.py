"""Every bit of instructions: bits that must not be set, and bits in the fields of transfers."""

import random
from collections.abc import Iterator

from board_programs import MEMORY_BYTES, RESULTS, Mixed, load_words, store_words
from board_runs import Accelerator, finish, read_64, refused, start
from board_windows import Layout, ended, prepare

from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.fields import CORE_UNITS, FIELD_BITS, INSTRUCTION_BYTES, Instruction, Unit, seal
from arrayloom.isa.instructions import (
    INSTRUCTIONS,
    End,
    LoadActivations,
    Store,
)
from arrayloom.isa.registers import (
    REGISTER_ADDRESS_BITS,
    REGISTER_BYTES,
    Block,
    Cause,
    Error,
    Register,
    blocks_of,
    counter_address,
)

FAR = RESULTS           # offset of transfers from the base
SEEN = [Register.STATUS, Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN, Register.FETCHED,
        Register.FETCH_STATE, Register.WEIGHTS_HELD, Register.PARAMETERS_HELD, Register.LOOKUP_TABLES_HELD,
        Register.ACCUMULATOR_BANKS, Register.BURSTS, *(
            register + step * unit for unit in CORE_UNITS for register, step in (
                (Register.RETIRED, 4), (Register.STATE, 4), (Register.TOKENS, 8)))]
MOST_READS = 4000


async def reserved_bits(board: Accelerator) -> None:
    """An instruction with any bit set that its class does not define is illegal."""
    layout, rng = Layout(board, 0), random.Random(1)
    await prepare(board)
    for cls in INSTRUCTIONS:
        used = {bit for one in cls.specs() for bit in range(one.offset, one.offset + one.width)}
        free = [bit for bit in range(FIELD_BITS) if bit not in used]
        for bit in {free[0], free[-1], *rng.sample(free, 30)}:
            code = layout.code([cls(), End()])
            code[bit // 8] |= 1 << bit % 8
            seal(code)
            await layout.start(code)
            assert await ended(board) == (Error.ILLEGAL_INSTRUCTION, Block.FETCH, 0), (cls.mnemonic(), bit)


def _transfer(cls: type[Instruction], **fields: int) -> Instruction:
    chip = "destination" if cls is LoadActivations else "source"
    return cls(**{"address": FAR, chip: 40, "words": 5, "rows": 1, "memory_pitch": 9, "chip_pitch": 7} | fields)


async def loads(board: Accelerator) -> None:
    """A load with any single bit of one field set succeeds, or is refused at its first run of words outside the limits."""
    await _transfers(board, LoadActivations, Unit.LOAD, Error.READ_OUTSIDE)


async def stores(board: Accelerator) -> None:
    """The same for stores."""
    await _transfers(board, Store, Unit.STORE, Error.WRITE_OUTSIDE)


async def _transfers(board: Accelerator, cls: type[Instruction], unit: Unit, error: Error) -> None:
    layout, config = Layout(board, 0), board.config
    await prepare(board)
    for name, bit in _bits(cls):
        fields = {"rows": 3} if name.endswith("pitch") else {}
        one = _transfer(cls, **fields | {name: 1 << bit})
        found = await layout.result(one)
        ends, place = _expected(one, error, config.size, config.activation_words)
        wanted = (ends, unit if ends else 0, board.base + place if ends is error else 0)
        assert found == wanted, (cls.mnemonic(), name, bit, found)


def _bits(cls: type[Instruction]) -> Iterator[tuple[str, int]]:
    for spec in cls.specs()[3:]:
        for bit in range(spec.width):
            if spec.name != "address" or bit > 1:
                yield spec.name, bit


def _expected(one: Instruction, outside: Error, size: int, chip_words: int) -> tuple[Error, int]:
    """The end of the transfer and its place relative to the base: for each run, the words leaving the chip or memory."""
    fields = vars(one)
    chip = fields["destination"] if isinstance(one, LoadActivations) else fields["source"]
    if isinstance(one, Store) and fields["address"] < RESULTS:
        return outside, fields["address"]
    for row in range(fields["rows"]):
        address = fields["address"] + row * fields["memory_pitch"] * size
        if chip + row * fields["chip_pitch"] + fields["words"] > chip_words:
            return Error.ILLEGAL_INSTRUCTION, 0
        if address + size * fields["words"] > MEMORY_BYTES:
            return outside, address
    return Error.NONE, 0


async def refused_words(board: Accelerator) -> None:
    """The bus refuses any word of an instruction, of a load or of a store: the run ends with the unit that requested it."""
    layout, size = Layout(board, 0), board.config.size
    await prepare(board)
    words, far = 40, RESULTS + (1 << 15)
    load, store = load_words(far, 0, words), store_words(far, 0, words)
    places = [(load, place, Error.BUS_READ, Block.FETCH) for place in range(0, 3 * INSTRUCTION_BYTES, size)]
    places += [(one, far + place, error, unit) for one, error, unit in (
        (load, Error.BUS_READ, Unit.LOAD), (store, Error.BUS_WRITE, Unit.STORE)) for place in range(0, size * words, size)]
    for one, place, error, unit in places:
        board.add_fault(board.base + place, size)
        found = await layout.result(one)
        board.clear_faults()
        beyond = place >= 2 * INSTRUCTION_BYTES and place < far         # read ahead by FETCH, without effect
        assert found == ((Error.NONE, 0, 0) if beyond else (error, unit, 0)), place
    assert await layout.result(load) == (Error.NONE, 0, 0)


async def watched(board: Accelerator) -> None:
    """Registers during a run: counts never decrease, and no value exceeds its limit."""
    config = board.config
    most = {Register.WEIGHTS_HELD: config.weight_words, Register.PARAMETERS_HELD: config.parameter_entries,
            Register.LOOKUP_TABLES_HELD: config.table_pages}
    program = Mixed(config, 12, 3).program
    await start(board, program)
    before = dict.fromkeys((Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN, Register.FETCHED), 0)
    for _ in range(MOST_READS):
        if board.irq:
            break
        seen = {address: await board.read_register(address) for address in SEEN}
        assert all(seen[register] <= limit for register, limit in most.items())
        assert all(seen[register] >= count for register, count in before.items()), seen
        before = {register: seen[register] for register in before}
        await board.run(7)
    assert (await finish(board)).done


async def every_register(board: Accelerator) -> None:
    """After transfers in both directions, every register address returns the expected value or is refused."""
    await _both_ways(board, 1200, 1)
    known = [address for address in range(0, 1 << REGISTER_ADDRESS_BITS, REGISTER_BYTES)
             if not await refused(board.read_register(address))]
    assert {register for register in Register if register != Register.COUNTERS} <= set(known)
    assert len(known) < 1 << REGISTER_ADDRESS_BITS - 2


async def long_counts(board: Accelerator) -> None:
    """Counters with as many words and cycles as a simulation here can reach."""
    await _both_ways(board, 16000, 17)


async def _both_ways(board: Accelerator, words: int, rows: int) -> None:
    layout = Layout(board, 0)
    await prepare(board)
    run = {"words": words, "rows": rows, "memory_pitch": 0, "chip_pitch": 0, "address": RESULTS}
    await layout.start(layout.code([LoadActivations(destination=0, **run), Store(source=0, **run), End()]))
    assert await ended(board, 4 * words * rows) == (Error.NONE, 0, 0)
    assert await read_64(board, Register.BEATS_WRITTEN) == words * rows
    assert 0 <= await read_64(board, Register.BEATS_READ) - words * rows <= FETCH_BUFFER_BYTES // board.config.size
    cycles = await read_64(board, Register.CYCLES)
    for block in blocks_of(board.config.units):
        assert sum([await read_64(board, counter_address(block, cause)) for cause in Cause]) == cycles, block.name
