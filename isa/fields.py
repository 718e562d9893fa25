"""Instructions as descriptors: a field knows its width, its range and its meaning; the rest is derived."""

import dataclasses
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError

INSTRUCTION_BYTES = 64
INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES
_WORD = np.dtype("<u8")
_WORD_BITS = 8 * _WORD.itemsize


class Unit(IntEnum):
    """The units that execute instructions; the value is the bit in a token mask."""

    LOAD = 0
    ARRAY = 1
    POST = 2
    STORE = 3


class Units(IntFlag):
    """A set of units, as `wait` and `signal` hold it."""

    LOAD = 1 << Unit.LOAD
    ARRAY = 1 << Unit.ARRAY
    POST = 1 << Unit.POST
    STORE = 1 << Unit.STORE


def units_in(mask: int) -> tuple[Unit, ...]:
    """The units that a ``wait`` or ``signal`` mask names, in the order of their bits."""
    return tuple(unit for unit in Unit if mask >> unit & 1)


def bits(width: int, doc: str, *, signed: bool = False, default: int = 0) -> Any:
    """A field of ``width`` bits; two's complement when ``signed``."""
    return dataclasses.field(default=default, metadata={"width": width, "signed": signed, "doc": doc})


@dataclass(frozen=True)
class FieldSpec:
    """Where a field lies in an instruction: ``offset`` and ``width`` in bits, least significant first."""

    name: str
    offset: int
    width: int
    signed: bool
    doc: str

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.width - self.signed)) - 1

    def insert(self, value: int) -> int:
        """``value`` at its place; raises ``EncodingError`` when it does not fit."""
        if not self.low <= value <= self.high:
            raise EncodingError(f"{self.name} = {value}: must be from {self.low} to {self.high}")
        return (value & ((1 << self.width) - 1)) << self.offset

    def extract(self, word: int) -> int:
        value = (word >> self.offset) & ((1 << self.width) - 1)
        return value - (1 << self.width) if self.signed and value > self.high else value


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction of 64 bytes. Subclasses add fields, an ``OPCODE`` and the ``UNIT`` that executes them."""

    OPCODE: ClassVar[int]
    UNIT: ClassVar[Unit | None]
    _specs: ClassVar[tuple[FieldSpec, ...]]

    opcode: int = bits(6, "which instruction this is")
    wait: int = bits(4, "units from each of which one token is taken before starting; "
                        "the unit's own bit: all its earlier instructions are complete")
    signal: int = bits(4, "units to each of which one token is given when every effect is visible")

    def __post_init__(self) -> None:
        object.__setattr__(self, "opcode", self.OPCODE)

    @classmethod
    def specs(cls) -> tuple[FieldSpec, ...]:
        """The fields in order, packed from bit 0 upwards."""
        if "_specs" not in cls.__dict__:
            cls._specs = _lay_out(cls)
        return cls._specs

    @classmethod
    def mnemonic(cls) -> str:
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    def encode(self) -> bytes:
        """The 64 bytes; raises ``EncodingError`` naming instruction and field when a value does not fit."""
        word = 0
        for spec in self.specs():
            try:
                word |= spec.insert(int(getattr(self, spec.name)))
            except EncodingError as error:
                raise EncodingError(f"{self.mnemonic()}: {error}") from None
        return word.to_bytes(INSTRUCTION_BYTES, "little")

    def changed(self, **values: int) -> Self:
        """The instruction with these fields in place of its own: ``dataclasses.replace`` in a fifth of the time.

        Raises ``TypeError`` for a name that no field has.
        """
        own = self.__dict__
        for name in values:
            if name not in own:
                raise TypeError(f"{self.mnemonic()} has no field {name}")
        result = object.__new__(type(self))
        result.__dict__.update(own, **values)
        return result

    @classmethod
    def from_word(cls, word: int) -> Self:
        specs = cls.specs()
        end = specs[-1].offset + specs[-1].width
        if word >> end:
            raise EncodingError(f"{cls.mnemonic()}: bits {end} and above must be zero")
        return cls(**{spec.name: spec.extract(word) for spec in specs})

    def __str__(self) -> str:
        parts = [self.mnemonic()]
        for spec in self.specs()[1:]:
            value = getattr(self, spec.name)
            if spec.name in ("wait", "signal"):
                if value:
                    parts.append(f"{spec.name}={'+'.join(unit.name for unit in units_in(value))}")
            elif value:
                parts.append(f"{spec.name}={int(value)}")
        return " ".join(parts)


def encode_all(instructions: Sequence[Instruction]) -> NDArray[np.uint8]:
    """The bytes of ``instructions`` one after the other, as their ``encode`` gives them; raises what it raises."""
    words = np.zeros((len(instructions), INSTRUCTION_BYTES // _WORD.itemsize), _WORD)
    places: dict[type[Instruction], list[int]] = {}
    for place, instruction in enumerate(instructions):
        places.setdefault(type(instruction), []).append(place)
    for kind, rows in places.items():
        specs = kind.specs()
        values_of = operator.attrgetter(*(spec.name for spec in specs))
        try:
            values = np.array([values_of(instructions[row]) for row in rows], np.int64).T
        except OverflowError:       # a value wider than every field: the instruction that has it names it
            for row in rows:
                instructions[row].encode()
            raise
        for spec, column in zip(specs, values, strict=True):
            outside = (column < spec.low) | (column > spec.high)
            if outside.any():
                instructions[rows[int(outside.argmax())]].encode()
            _insert(words, rows, spec, column)
    return words.view(np.uint8).ravel()


def _insert(words: NDArray[np.uint64], rows: list[int], spec: FieldSpec, column: NDArray[np.int64]) -> None:
    """Puts the values of a field, which fit it, into the words of their instructions."""
    index, shift = divmod(spec.offset, _WORD_BITS)
    raw = column.view(np.uint64) & np.uint64((1 << spec.width) - 1)
    words[rows, index] |= raw << np.uint64(shift)
    if shift + spec.width > _WORD_BITS:
        words[rows, index + 1] |= raw >> np.uint64(_WORD_BITS - shift)


def _lay_out(cls: type[Instruction]) -> tuple[FieldSpec, ...]:
    specs, offset = [], 0
    for item in dataclasses.fields(cls):
        meta = item.metadata
        specs.append(FieldSpec(item.name, offset, meta["width"], meta["signed"], meta["doc"]))
        offset += meta["width"]
    if offset > INSTRUCTION_BITS:
        raise EncodingError(f"{cls.__name__}: {offset} bits of fields do not fit {INSTRUCTION_BITS}")
    return tuple(specs)
