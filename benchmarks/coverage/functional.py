"""Functional coverage: the events that must have happened in runs, by group.

A group's goals are names; ``goals`` lists all of them, and the functions below return those that a program or the end of a
run reaches.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import Any

from config_ends import end_of, limits

from arrayloom.isa.bus import BURST_WORDS, FETCH_BURST_BYTES
from arrayloom.isa.config import Config
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import INSTRUCTION_BYTES, FieldSpec, Instruction, Unit, units_in
from arrayloom.isa.instructions import BY_OPCODE, INSTRUCTIONS, Drain, Elementwise, Pool, PoolKind
from arrayloom.isa.registers import Block, Cause, Error, StatusWord

MASKS = ("opcode", "wait", "signal")
SMALLEST = 4        # size of the configurations whose pairs count
CAUSES = {
    Block.FETCH: {Cause.IDLE, Cause.COMPUTING, Cause.MEMORY, Cause.SPACE, Cause.OVERHEAD},
    Block.LOAD: {Cause.IDLE, Cause.COMPUTING, Cause.TOKEN, Cause.ACTIVATIONS, Cause.MEMORY, Cause.SPACE, Cause.OVERHEAD},
    Block.ARRAY: {Cause.IDLE, Cause.COMPUTING, Cause.TOKEN, Cause.WEIGHTS, Cause.DRAINING, Cause.OVERHEAD},
    Block.POST: {Cause.IDLE, Cause.COMPUTING, Cause.TOKEN, Cause.WEIGHTS, Cause.ACTIVATIONS, Cause.SUMS, Cause.OVERHEAD},
    Block.STORE: {Cause.IDLE, Cause.COMPUTING, Cause.TOKEN, Cause.ACTIVATIONS, Cause.MEMORY, Cause.OVERHEAD},
}
"""The causes for which each block counts cycles."""
READERS = {0: "fetch", 1: "load"}       # by ARID
PLACES = {(0, 0): "within a page", (1, 0): "from the start of a page", (0, 1): "to the end of a page"}


def goals(config: Config) -> dict[str, set[str]]:
    """Every goal, by group, of programs for ``config``."""
    return {"fields": set(_field_goals()), "stages": set(_stage_goals()), "ends": set(_end_goals()),
            "causes": {f"{block.name} {cause.name}" for block, causes in CAUSES.items() for cause in causes},
            "bursts": set(_burst_goals(config)), "tokens": set(_token_goals()), "configurations": set(_pair_goals())}


def _field_goals() -> Iterator[str]:
    for cls in INSTRUCTIONS:
        for spec in cls.specs():
            if spec.name not in MASKS:
                values = ("0", "1") if spec.width == 1 else ("lowest", "highest", "between")
                yield from (f"{cls.mnemonic()}.{spec.name} {value}" for value in values)
                if spec.signed:
                    yield from (f"{cls.mnemonic()}.{spec.name} {value}" for value in ("zero", "negative", "positive"))


def field_values(instruction: type[Instruction], word: int) -> Iterator[str]:
    """The goals of group ``fields`` reached by the fields of an instruction word."""
    for spec in instruction.specs():
        if spec.name not in MASKS:
            yield from (f"{instruction.mnemonic()}.{spec.name} {value}" for value in _classes(spec, word))


def _classes(spec: FieldSpec, word: int) -> Iterator[str]:
    try:
        value = spec.extract(word)
    except EncodingError:
        return
    if spec.width == 1:
        yield str(value)
        return
    yield "lowest" if value == spec.low else "highest" if value == spec.high else "between"
    if spec.signed:
        yield "zero" if value == 0 else "negative" if value < 0 else "positive"


ADDS = ("no add", "add", "add swapped", "product", "product swapped")
AFTER = ("", ", table kept", ", table released")


def _stage_goals() -> Iterator[str]:
    yield from (f"{name}: {add}{after}" for name in ("drain", "elementwise") for add in ADDS for after in AFTER)
    yield from (f"drain: parameters {what}" for what in ("kept", "released"))
    yield from (f"pool: {kind.name}{after}" for kind in PoolKind for after in AFTER)


def stages(one: Instruction) -> Iterator[str]:
    """The goals of group ``stages`` reached by a POST instruction."""
    if not isinstance(one, Drain | Elementwise | Pool):
        return
    after = AFTER[one.lookup_table * (1 + one.release_lookup_table)]
    if isinstance(one, Pool):
        if one.kind in set(PoolKind):
            yield f"pool: {PoolKind(one.kind).name}{after}"
        return
    add = ADDS[one.add * (1 + one.swap + 2 * one.multiply)]
    yield f"{one.mnemonic()}: {add}{after}"
    if isinstance(one, Drain):
        yield f"drain: parameters {'released' if one.release_parameters else 'kept'}"


def _end_goals() -> Iterator[str]:
    yield from ("done", "busy", "bus stuck")
    yield from (f"error {error.name}" for error in Error if error is not Error.NONE)


def ends(status: StatusWord) -> Iterator[str]:
    """The goals of group ``ends`` reached by a status."""
    named = {"done": status.done, "busy": status.busy, "bus stuck": status.bus_stuck,
             f"error {status.error.name}": status.error is not Error.NONE}
    yield from (name for name, reached in named.items() if reached)


def _burst_goals(config: Config) -> Iterator[str]:
    for who in (*READERS.values(), "store"):
        # FETCH reads whole instructions, from the start of the program to the next multiple of its longest burst
        chunk = INSTRUCTION_BYTES // config.size
        lengths = range(chunk, FETCH_BURST_BYTES // config.size + 1, chunk) if who == "fetch" else range(1, BURST_WORDS + 1)
        yield from (f"{who}: {words} words" for words in lengths)
        yield from (f"{who}: {place}" for place in PLACES.values())
    assert config.size * BURST_WORDS < 4096     # no burst is a whole page


def bursts(read: Any, written: Any) -> Iterator[str]:
    """The goals of group ``bursts`` reached according to ``RtlSimulator.burst_kinds`` of reads and writes."""
    for who, kinds in (*((name, read[number]) for number, name in READERS.items()), ("store", written[0])):
        for index, lengths in enumerate(kinds):
            if lengths.any():
                yield f"{who}: {index + 1} words"
        yield from (f"{who}: {name}" for place, name in PLACES.items() if kinds[(slice(None), *place)].any())


WAITS = ("at once", "with delay")


def _token_goals() -> Iterator[str]:
    for producer, consumer in product(Unit, repeat=2):
        if producer is not consumer:
            yield f"{producer.name} gives to {consumer.name}"
            yield from (f"{consumer.name} takes from {producer.name} {how}" for how in WAITS)
    yield from (f"{unit.name} waits for itself" for unit in Unit)


def given(one: Instruction) -> Iterator[str]:
    """The goals of group ``tokens`` reached by a single instruction."""
    if one.UNIT is not None:
        yield from (f"{one.UNIT.name} gives to {consumer.name}" for consumer in units_in(one.signal))
        if one.wait >> one.UNIT & 1:
            yield f"{one.UNIT.name} waits for itself"


def taken(program: Iterable[Instruction], token_cycles: dict[Unit, int]) -> Iterator[str]:
    """The goals reached by a completed run: from units that waited only for one other unit, not for themselves."""
    waits: dict[Unit, set[Unit]] = {unit: set() for unit in Unit}
    for one in program:
        if one.UNIT is not None:
            waits[one.UNIT] |= set(units_in(one.wait))
    for consumer, producers in waits.items():
        if len(producers) == 1 and consumer not in producers:
            yield f"{consumer.name} takes from {producers.pop().name} {WAITS[token_cycles[consumer] > 0]}"


def _pair_goals() -> Iterator[str]:
    for first, second in combinations(limits(SMALLEST), 2):
        yield from (f"{first} {a}, {second} {b}" for a, b in product(("least", "most"), repeat=2))


def pairs(config: Config) -> Iterator[str]:
    """The goals of group ``configurations`` reached by building ``config``."""
    if config.size == SMALLEST:
        ends_of = {name: end_of(config, name) for name in limits(SMALLEST)}
        for (first, a), (second, b) in combinations(ends_of.items(), 2):
            if a and b:
                yield f"{first} {a}, {second} {b}"


def decode(word: int) -> Instruction | None:
    """The decoded instruction; None for an unknown opcode or an illegal field."""
    cls = BY_OPCODE.get(word & 63)
    if cls is None:
        return None
    try:
        return cls(**{spec.name: spec.extract(word) for spec in cls.specs() if spec.name != "opcode"})
    except EncodingError:
        return None
