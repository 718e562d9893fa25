"""Programs that must end in an error, each with its cause in the registers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from board_programs import MEMORY_BYTES, RESULTS, load_words, raw_program, store_words

from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS, FIELD_BITS, INSTRUCTION_BYTES, UNIT_SLOTS, Instruction, Unit, Units
from arrayloom.isa.instructions import (
    INSTRUCTIONS,
    Convolve,
    Drain,
    Elementwise,
    End,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
    Store,
)
from arrayloom.isa.program import Program
from arrayloom.isa.registers import TOKEN_BITS, Block, Cause, Error

FETCH = Block.FETCH     # ERROR_UNIT of FETCH and of the program as a whole
DATA = RESULTS          # memory addresses without code
BEYOND = MEMORY_BYTES   # an address without memory


@dataclass(frozen=True)
class Fault:
    """A program, the ``error`` and ``unit`` with which it must end, and the state expected afterwards.

    ``bad``: byte addresses, relative to the base, that the bus refuses. ``tokens``: (consumer, producer, count) of tokens
    left. ``cause``: what the unit at fault reports to wait for; ``missing``: the producer of the token that its next
    instruction lacks. ``address``: that of the access outside its limits, relative to the base.
    """

    make: Callable[[Config], Program]
    error: Error
    unit: int
    bad: range | None = None
    tokens: tuple[Unit, Unit, int] | None = None
    cause: Cause | None = None
    missing: Units | None = None
    address: int | None = None


def _program(*instructions: Instruction | bytes) -> Callable[[Config], Program]:
    def make(config: Config) -> Program:
        return raw_program(config, b"".join(one if isinstance(one, bytes) else one.encode() for one in instructions))

    return make


def _word(value: int) -> bytes:
    return value.to_bytes(INSTRUCTION_BYTES, "little")


CONVOLVE: dict[str, Any] = {"height": 1, "width": 1, "source_height": 1, "source_width": 1, "first": 1, "last": 1}
REGION: dict[str, Any] = {"height": 1, "width": 1}
TILE = LoadWeights(address=DATA, words=4)   # for size 4


def _illegal(unit: int, *instructions: Instruction | bytes) -> Fault:
    return Fault(_program(*instructions, End()), Error.ILLEGAL_INSTRUCTION, unit)


def _fetched() -> Iterator[tuple[str, Fault]]:
    """Instructions that FETCH refuses."""
    for opcode in (0, 11, 63):
        yield f"opcode {opcode}", _illegal(FETCH, _word(opcode))
    for cls in INSTRUCTIONS:
        yield f"reserved bit of {cls.mnemonic()}", _illegal(FETCH, _word(cls.OPCODE | 1 << FIELD_BITS - 1))
    yield "end that waits", _illegal(FETCH, _word(End.OPCODE | Units.LOAD << 6))
    for unit in range(len(CORE_UNITS), UNIT_SLOTS):
        yield f"wait for unit {unit}", _illegal(FETCH, _word(LoadWeights.OPCODE | 1 << 6 + unit))
        yield f"signal to unit {unit}", _illegal(FETCH, _word(LoadWeights.OPCODE | 1 << 6 + UNIT_SLOTS + unit))
    yield "no end", Fault(_program(load_words(DATA, 0, 1)), Error.DAMAGED_INSTRUCTION, FETCH)
    yield "another check", Fault(lambda config: raw_program(config, End().encode(1), sealed=False),
                                 Error.DAMAGED_INSTRUCTION, FETCH)


def _fields() -> Iterator[tuple[str, Fault]]:
    """Out-of-range fields, which the units refuse."""
    pixels = {**CONVOLVE, "height": 5, "width": 13}     # a half holds 64
    load = {"address": DATA, "destination": 0, "words": 1, "rows": 1, "memory_pitch": 0, "chip_pitch": 0}
    store = {"address": DATA, "source": 0, "words": 1, "rows": 1, "memory_pitch": 0, "chip_pitch": 0}
    cases: dict[str, tuple[Unit, Instruction]] = {
        "part of a tile": (Unit.LOAD, LoadWeights(address=DATA, words=3)),
        "no weights": (Unit.LOAD, LoadWeights(address=DATA, words=0)),
        "no parameters": (Unit.LOAD, LoadParameters(address=DATA, entries=0)),
        "table between words": (Unit.LOAD, LoadLookupTable(address=DATA + 1)),
        "load of no words": (Unit.LOAD, LoadActivations(**load | {"words": 0})),
        "load beyond the chip": (Unit.LOAD, LoadActivations(**load | {"destination": 16383, "words": 2})),
        "later run beyond the chip": (Unit.LOAD, LoadActivations(**load | {"rows": 3, "chip_pitch": 8192})),
        "store of no rows": (Unit.STORE, Store(**store | {"rows": 0})),
        "store between words": (Unit.STORE, Store(**store | {"address": DATA + 2})),
        "store beyond the chip": (Unit.STORE, Store(**store | {"source": 16384})),
        "too many pixels": (Unit.ARRAY, Convolve(**pixels)),
        "no taps": (Unit.ARRAY, Convolve(**CONVOLVE, taps_y=0)),
        "half that no one began": (Unit.ARRAY, Convolve(**CONVOLVE | {"first": 0})),
        "drain of no rows": (Unit.POST, Drain(height=0, width=1)),
        "vector of no columns": (Unit.POST, Elementwise(height=1, width=0)),
        "pool of a fourth kind": (Unit.POST, Pool(**REGION, kind=3)),
        "pool without taps": (Unit.POST, Pool(**REGION, kind=PoolKind.MAXIMUM, taps_x=0)),
    }
    for name, (unit, instruction) in cases.items():
        yield name, _illegal(unit, instruction)
    own: dict[Unit, Callable[..., Instruction]] = {Unit.LOAD: LoadLookupTable, Unit.ARRAY: Convolve, Unit.POST: Drain,
                                                   Unit.STORE: Store}
    for unit, kind in own.items():
        yield f"token of {unit.name} for itself", _illegal(unit, kind(signal=1 << unit))


def _refused() -> Iterator[tuple[str, Fault]]:
    """Accesses that the bus refuses."""
    load, store = _program(load_words(DATA, 0, 100), End()), _program(store_words(DATA, 0, 100), End())
    yield "read of the bus", Fault(load, Error.BUS_READ, Unit.LOAD, range(DATA + 200, DATA + 204))
    yield "fetch of the bus", Fault(load, Error.BUS_READ, FETCH, range(INSTRUCTION_BYTES, INSTRUCTION_BYTES + 4))
    yield "write of the bus", Fault(store, Error.BUS_WRITE, Unit.STORE, range(DATA + 300, DATA + 304))
    yield "read beyond memory", Fault(_program(load_words(BEYOND, 0, 1), End()), Error.READ_OUTSIDE, Unit.LOAD,
                                      address=BEYOND)
    yield "write beyond memory", Fault(_program(store_words(BEYOND - 8, 0, 3), End()), Error.WRITE_OUTSIDE, Unit.STORE,
                                       address=BEYOND - 8)
    yield "write over the program", Fault(_program(store_words(0, 0, 1), End()), Error.WRITE_OUTSIDE, Unit.STORE, address=0)


def _waiting() -> Iterator[tuple[str, Fault]]:
    """Programs that never end: a unit waits for something that never comes."""
    starters: dict[Unit, Callable[[int], Instruction]] = {
        Unit.LOAD: lambda wait: load_words(DATA, 0, 1, wait=wait),
        Unit.STORE: lambda wait: store_words(DATA, 0, 1, wait=wait),
        Unit.ARRAY: lambda wait: Convolve(**CONVOLVE, wait=wait), Unit.POST: lambda wait: Elementwise(**REGION, wait=wait)}
    for consumer, starter in starters.items():
        for producer in set(CORE_UNITS) - {consumer}:
            yield f"{consumer.name} without a token of {producer.name}", Fault(
                _program(starter(1 << producer), End()), Error.WATCHDOG, consumer, cause=Cause.TOKEN,
                missing=Units(1 << producer))
    stuck = {
        "array without weights": (Unit.ARRAY, Cause.WEIGHTS, [Convolve(**CONVOLVE)]),
        "drain without a half": (Unit.POST, Cause.SUMS, [
            LoadParameters(address=DATA, entries=2), Drain(**REGION)]),
        "lookup without a table": (Unit.POST, Cause.WEIGHTS, [Elementwise(**REGION, lookup_table=1)]),
        "more weights than fit": (Unit.LOAD, Cause.SPACE, [LoadWeights(address=DATA, words=400)]),
        "more tables than fit": (Unit.LOAD, Cause.SPACE, [LoadLookupTable(address=DATA)] * 3),
    }
    for name, (unit, cause, instructions) in stuck.items():
        yield name, Fault(_program(*instructions, End()), Error.WATCHDOG, unit, cause=cause)


def _left() -> Iterator[tuple[str, Fault]]:
    """Items that must not be left when a program ends."""
    limit = (1 << TOKEN_BITS) - 1
    give = load_words(DATA, 0, 1, signal=Units.STORE)
    tokens = (Unit.STORE, Unit.LOAD)
    yield "a token", Fault(_program(give, End()), Error.TOKENS_LEFT, Unit.STORE, tokens=(*tokens, 1))
    yield "as many tokens as a counter holds", Fault(
        _program(*[give] * limit, End()), Error.TOKENS_LEFT, Unit.STORE, tokens=(*tokens, limit))
    yield "a token too many", Fault(
        _program(*[give] * (limit + 1), End()), Error.TOKEN_OVERFLOW, Unit.STORE, tokens=(*tokens, limit))
    remains = {
        "weights": [TILE], "parameters": [LoadParameters(address=DATA, entries=1)],
        "a table": [LoadLookupTable(address=DATA)], "a full half": [TILE, Convolve(**CONVOLVE)],
        "half a half": [TILE, Convolve(**CONVOLVE | {"last": 0})],
    }
    for name, instructions in remains.items():
        yield name, Fault(_program(*instructions, End()), Error.DATA_LEFT, FETCH)


GROUPS = {"fetched": _fetched, "fields": _fields, "refused": _refused, "waiting": _waiting, "left": _left}
FAULTS: dict[str, dict[str, Fault]] = {group: dict(make()) for group, make in GROUPS.items()}
