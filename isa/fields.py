"""Instructions as descriptors: a field defines its width, range and meaning; everything else is derived."""

import dataclasses
import operator
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError

INSTRUCTION_BYTES = 64
INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES
CHECK_BITS = 32         # of an instruction: its highest
FIELD_BITS = INSTRUCTION_BITS - CHECK_BITS
FIELD_BYTES = FIELD_BITS // 8
UNIT_SLOTS = 6          # bits in a mask of units
_WORD = np.dtype("<u8")
_WORD_BITS = 8 * _WORD.itemsize


class Unit(IntEnum):
    """The units that execute instructions; the value is the bit in a token mask. DEPTHWISE and ATTENTION are options."""

    LOAD = 0
    ARRAY = 1
    POST = 2
    STORE = 3
    DEPTHWISE = 4
    ATTENTION = 5


class Units(IntFlag):
    """A set of units, as `wait` and `signal` hold it."""

    LOAD = 1 << Unit.LOAD
    ARRAY = 1 << Unit.ARRAY
    POST = 1 << Unit.POST
    STORE = 1 << Unit.STORE
    DEPTHWISE = 1 << Unit.DEPTHWISE
    ATTENTION = 1 << Unit.ATTENTION


CORE_UNITS = (Unit.LOAD, Unit.ARRAY, Unit.POST, Unit.STORE)     # of every accelerator
ALL_UNITS = sum(Units)


def units_in(mask: int) -> tuple[Unit, ...]:
    """The units that a ``wait`` or ``signal`` mask names, in the order of their bits."""
    return tuple(unit for unit in Unit if mask >> unit & 1)


def bits(width: int, doc: str, *, signed: bool = False, default: int = 0, most: int | None = None) -> Any:
    """A field of ``width`` bits; two's complement when ``signed``; ``most``: the highest legal value, if not all ones."""
    return dataclasses.field(default=default, metadata={"width": width, "signed": signed, "doc": doc, "most": most})


@dataclass(frozen=True)
class FieldSpec:
    """The position of a field in an instruction: ``offset`` and ``width`` in bits, least significant first."""

    name: str
    offset: int
    width: int
    signed: bool
    doc: str
    most: int | None = None

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.width - self.signed)) - 1 if self.most is None else self.most

    def insert(self, value: int) -> int:
        """``value`` at its place; raises ``EncodingError`` if it does not fit."""
        if not self.low <= value <= self.high:
            raise EncodingError(f"{self.name} = {value}: must be from {self.low} to {self.high}")
        return (value & ((1 << self.width) - 1)) << self.offset

    def extract(self, word: int) -> int:
        """The value in an instruction; raises ``EncodingError`` if it is not legal."""
        value = (word >> self.offset) & ((1 << self.width) - 1)
        if self.signed and value > self.high:
            return value - (1 << self.width)
        if value > self.high:
            raise EncodingError(f"{self.name} = {value}: must be from {self.low} to {self.high}")
        return value


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction of 64 bytes. Subclasses add fields, an ``OPCODE`` and the ``UNIT`` that executes them.

    Its highest 32 bits hold ``check_of`` the others.
    """

    OPCODE: ClassVar[int]
    UNIT: ClassVar[Unit | None]
    _specs: ClassVar[tuple[FieldSpec, ...]]

    opcode: int = bits(6, "which instruction this is")
    wait: int = bits(UNIT_SLOTS, "units from each of which one token is taken before starting; "
                                 "the unit's own bit: all its earlier instructions are complete", most=ALL_UNITS)
    signal: int = bits(UNIT_SLOTS, "units to each of which one token is given when every effect is visible", most=ALL_UNITS)

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

    def encode(self, index: int = 0) -> bytes:
        """The 64 bytes as those of instruction ``index``, counted from a program's memory base.

        Raises ``EncodingError`` naming instruction and field if a value does not fit.
        """
        word = 0
        for spec in self.specs():
            try:
                word |= spec.insert(int(getattr(self, spec.name)))
            except EncodingError as error:
                raise EncodingError(f"{self.mnemonic()}: {error}") from None
        fields = word.to_bytes(FIELD_BYTES, "little")
        return fields + check_of(fields, index)

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
        """The instruction with these ``FIELD_BITS`` bits of fields; raises ``EncodingError`` for illegal ones."""
        specs = cls.specs()
        end = specs[-1].offset + specs[-1].width
        if word >> end:
            raise EncodingError(f"{cls.mnemonic()}: bits {end} to {FIELD_BITS - 1} must be zero")
        try:
            return cls(**{spec.name: spec.extract(word) for spec in specs})
        except EncodingError as error:
            raise EncodingError(f"{cls.mnemonic()}: {error}") from None

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


def check_of(fields: bytes, index: int) -> bytes:
    """The checksum at the end of an instruction: the CRC-32 of its fields and, in four bytes, of ``index``, its place in
    memory.

    ``index`` is its offset from the program's memory base in instructions, so an instruction at another place does not run.
    CRC-32 is that of IEEE 802.3 and of ``zlib``; numbers are little-endian.
    """
    return zlib.crc32(fields + index.to_bytes(4, "little")).to_bytes(CHECK_BITS // 8, "little")


def seal(code: NDArray[np.uint8], first: int = 0) -> None:
    """Sets the checksum of every instruction of ``code``, uint8[n * 64]; ``first``: the index of its first instruction."""
    data = code.tobytes()
    checks = b"".join(check_of(data[start:start + FIELD_BYTES], index)
                      for index, start in enumerate(range(0, len(data), INSTRUCTION_BYTES), first))
    code.reshape(-1, INSTRUCTION_BYTES)[:, FIELD_BYTES:] = np.frombuffer(checks, np.uint8).reshape(-1, CHECK_BITS // 8)


def encode_all(instructions: Sequence[Instruction], first: int = 0) -> NDArray[np.uint8]:
    """The bytes of ``instructions`` from index ``first`` on, as their ``encode`` gives them; raises what it raises."""
    words = np.zeros((len(instructions), INSTRUCTION_BYTES // _WORD.itemsize), _WORD)
    places: dict[type[Instruction], list[int]] = {}
    for place, instruction in enumerate(instructions):
        places.setdefault(type(instruction), []).append(place)
    for kind, rows in places.items():
        specs = kind.specs()
        values_of = operator.attrgetter(*(spec.name for spec in specs))
        try:
            values = np.array([values_of(instructions[row]) for row in rows], np.int64).T
        except OverflowError:       # a value wider than every field: the instruction's own encoding reports it
            for row in rows:
                instructions[row].encode()
            raise
        for spec, column in zip(specs, values, strict=True):
            outside = (column < spec.low) | (column > spec.high)
            if outside.any():
                instructions[rows[int(outside.argmax())]].encode()
            _insert(words, rows, spec, column)
    code = words.view(np.uint8).ravel()
    seal(code, first)
    return code


def _insert(words: NDArray[np.uint64], rows: list[int], spec: FieldSpec, column: NDArray[np.int64]) -> None:
    """Inserts values of a field, already checked, into the words of their instructions."""
    index, shift = divmod(spec.offset, _WORD_BITS)
    raw = column.view(np.uint64) & np.uint64((1 << spec.width) - 1)
    words[rows, index] |= raw << np.uint64(shift)
    if shift + spec.width > _WORD_BITS:
        words[rows, index + 1] |= raw >> np.uint64(_WORD_BITS - shift)


def _lay_out(cls: type[Instruction]) -> tuple[FieldSpec, ...]:
    specs, offset = [], 0
    for item in dataclasses.fields(cls):
        meta = item.metadata
        specs.append(FieldSpec(item.name, offset, meta["width"], meta["signed"], meta["doc"], meta["most"]))
        offset += meta["width"]
    if offset > FIELD_BITS:
        raise EncodingError(f"{cls.__name__}: {offset} bits of fields do not fit {FIELD_BITS}")
    return tuple(specs)
