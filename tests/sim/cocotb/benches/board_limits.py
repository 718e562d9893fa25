"""Time limits, bit by bit, and RESET in every cycle around the beginning of a run."""

import random

from board_programs import RESULTS, load_words, small_program, store_words
from board_runs import (
    RESET,
    START,
    WATCHDOG_CYCLES,
    Accelerator,
    check_program,
    read_64,
    refused,
    start,
    status,
    write_64,
)
from board_windows import Layout, ended, prepare

from arrayloom.isa.fields import Instruction, Unit, Units
from arrayloom.isa.instructions import Convolve, Elementwise, End, LoadLookupTable, LoadParameters, LoadWeights
from arrayloom.isa.registers import (
    CYCLE_BITS,
    REGISTER_BITS,
    RESET_VALUES,
    TOKEN_BITS,
    Error,
    Register,
    StateWord,
    StatusWord,
)
from arrayloom.sim.rtl.simulator import Stop

PATIENT = 1500      # cycles of a run without a limit
BEGIN = 40          # cycles after START in which RESET may come
MOST = (1 << TOKEN_BITS) - 1
LATE = 6            # largest delay in cycles between a limit and the end of the run


async def cycle_limits(board: Accelerator) -> None:
    """A run ends at its cycle limit, whichever bit of the limit is set."""
    layout = Layout(board, 0)
    waits = layout.code([load_words(0, 0, 1, wait=Units.STORE), End()])
    await prepare(board, 0)
    for bit in range(CYCLE_BITS):
        await write_64(board, Register.CYCLE_LIMIT, 1 << bit)
        await layout.start(waits)
        if 1 << bit < PATIENT:
            assert (await ended(board))[0] is Error.CYCLE_LIMIT
            cycles = await read_64(board, Register.CYCLES)
            assert 0 <= cycles - (1 << bit) <= LATE, (bit, cycles)
        else:
            await _still_runs(board)
    await write_64(board, Register.CYCLE_LIMIT, RESET_VALUES[Register.CYCLE_LIMIT])


async def watchdogs(board: Accelerator) -> None:
    """The same for the watchdog, which counts from the last progress."""
    layout = Layout(board, 0)
    waits = layout.code([load_words(0, 0, 1, wait=Units.STORE), End()])
    await prepare(board)
    last = None
    for bit in range(REGISTER_BITS):
        await board.write_register(Register.WATCHDOG, 1 << bit)
        await layout.start(waits)
        if 1 << bit >= PATIENT:
            await _still_runs(board)
            continue
        word = await ended(board)
        assert word[0] in (Error.WATCHDOG, Error.BUS_STUCK)
        if word[0] is Error.BUS_STUCK:      # the limit is shorter than a memory access
            await board.reset()
            await prepare(board)
            continue
        cycles = await read_64(board, Register.CYCLES)
        assert last is None or cycles - last == 1 << bit - 1, (bit, cycles)
        last = cycles if 1 << bit > 256 else None
    await board.write_register(Register.WATCHDOG, WATCHDOG_CYCLES)


async def _still_runs(board: Accelerator) -> None:
    """The run continues until RESET ends it."""
    assert await board.run(PATIENT) is Stop.LIMIT
    assert (await status(board)).busy
    await _reset(board)


async def _reset(board: Accelerator) -> None:
    await board.write_register(Register.CONTROL, RESET)
    for _ in range(PATIENT):
        if await status(board) == StatusWord(False, False, False, Error.NONE):
            break
        await board.run(10)
    assert await board.read_register(Register.INTERRUPT) == 0


async def resets(board: Accelerator) -> None:
    """RESET in any cycle around the beginning of a run, then START at once: nothing is left of the first run."""
    program = small_program(board.config, 3)
    for cycle in range(BEGIN):
        await start(board, program)
        await board.run(cycle)
        await _reset(board)
        if cycle % 8 == 0:
            await check_program(board, small_program(board.config, cycle))
    await start(board, program)
    await board.write_register(Register.CONTROL, RESET)
    await refused(board.write_register(Register.CONTROL, START))      # refused if the first run has not ended
    await _reset(board)
    await board.write_register(Register.CONTROL, START | RESET)
    await _reset(board)
    assert not board.irq
    await check_program(board, program)


def _giver(unit: Unit, **tokens: int) -> list[Instruction]:
    """A short instruction of the unit, after the LOAD instructions that it needs."""
    if unit is Unit.LOAD:
        return [load_words(RESULTS, 0, 1, **tokens)]
    if unit is Unit.STORE:
        return [store_words(RESULTS, 100, 1, **tokens)]
    if unit is Unit.POST:
        return [Elementwise(height=1, width=1, source=200, destination=300, **tokens)]
    return [LoadWeights(address=RESULTS, words=4),
            Convolve(height=1, width=1, source_height=1, source_width=1, source=400, **{"first": 0, "last": 0} | tokens)]


async def tokens(board: Accelerator, consumer: Unit) -> None:
    """The unit's token counters count to their limit and back, and one more token is an error."""
    layout = Layout(board, 0)
    await prepare(board)
    for producer in sorted(set(board.config.units) - {consumer}):
        await _count(board, layout, producer, consumer)


async def _count(board: Accelerator, layout: Layout, producer: Unit, consumer: Unit) -> None:
    """At a random number of tokens all are visible; then at the maximum, and one beyond it."""
    rng = random.Random(f"{producer} {consumer}")
    give, take = {"signal": 1 << consumer}, {"wait": 1 << producer}
    for given, wanted in ((rng.randrange(2, MOST), Error.TOKENS_LEFT), (MOST + 1, Error.TOKEN_OVERFLOW)):
        error, unit, _ = await layout.result(*_series(producer, given, give))
        assert (error, unit) == (wanted, consumer), (producer, consumer, error, unit)
        seen = await read_64(board, Register.TOKENS + 8 * consumer)
        assert seen == min(given, MOST) << 8 * producer, hex(seen)
    program = [*_series(producer, MOST, give), *_series(consumer, MOST, take)]
    banks = sum(isinstance(one, Convolve) for one in program)
    error, unit, _ = await layout.result(*program)
    assert error is (Error.DATA_LEFT if banks else Error.NONE), (producer, consumer, error, unit)


def _series(unit: Unit, count: int, tokens: dict[str, int]) -> list[Instruction]:
    """Several instructions of the unit; those of ARRAY begin one bank and continue it."""
    made = [one for _ in range(count) for one in _giver(unit, **tokens)]
    first = next((index for index, one in enumerate(made) if isinstance(one, Convolve)), None)
    if first is not None:
        made[first] = made[first].changed(first=1)
    return made


async def full(board: Accelerator) -> None:
    """Queues and FIFOs hold exactly their declared depth while nothing is taken."""
    config, layout = board.config, Layout(board, 0)
    await prepare(board)
    one, load = {"height": 1, "width": 1}, {"wait": Units.LOAD}
    lacks = {Unit.LOAD: load_words(RESULTS, 0, 1, wait=Units.STORE), Unit.ARRAY: Convolve(**one, **load),
             Unit.POST: Elementwise(**one, **load), Unit.STORE: store_words(RESULTS, 0, 1, **load)}
    for unit, lack in lacks.items():
        assert await layout.result(*[lack] * (config.queue_depth + 4)) == (Error.WATCHDOG, unit, 0)
        state = StateWord.decode(await board.read_register(Register.STATE + 4 * unit))
        assert state.waiting == config.queue_depth + 1, state      # one is at the head
    tiles = [config.weight_words, config.size, config.size]       # the array takes one at once
    fifos = {Register.WEIGHTS_HELD: (config.weight_words, [LoadWeights(words=words) for words in tiles]),
             Register.PARAMETERS_HELD: (config.parameter_entries, [LoadParameters(entries=config.parameter_entries + 16)]),
             Register.LOOKUP_TABLES_HELD: (config.table_pages, [LoadLookupTable()] * (config.table_pages + 1))}
    for register, (most, instructions) in fifos.items():
        assert await layout.result(*instructions) == (Error.WATCHDOG, Unit.LOAD, 0)
        assert await board.read_register(register) == most, register.name
