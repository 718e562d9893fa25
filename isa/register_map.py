"""The list of all registers, for descriptions in other languages and for the ISA page."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.isa.registers import (
    REGISTER_BITS,
    REGISTER_BYTES,
    RESET_VALUES,
    Block,
    Cause,
    Control,
    Register,
    Status,
    blocks_of,
    counter_address,
)

BLOCKS = {Register.RETIRED: (Block, REGISTER_BYTES), Register.STATE: (Block, REGISTER_BYTES),
          Register.TOKENS: (Unit, 2 * REGISTER_BYTES)}
"""Registers that exist once per block or unit, and their distance in bytes."""
ALIASES = (Register.FETCHED, Register.FETCH_STATE, Register.COUNTERS)
"""Names of registers that are listed under others."""
ERROR_BITS = 8


@dataclass(frozen=True)
class BitField:
    """Bits ``low`` to ``low + width - 1`` of a register."""

    name: str
    low: int
    width: int


@dataclass(frozen=True)
class RegisterEntry:
    """One register of 32 bits.

    Attributes
    ----------
    name
        In upper case.
    address
        Address of its first byte.
    readable
        Whether it can be read.
    writable
        Whether it can be written.
    reset
        Its value after a reset; for a read-only register 0 if unknown.
    doc
        Its content, in one line.
    fields
        Its named bits, or one field with all bits.
    """

    name: str
    address: int
    readable: bool
    writable: bool
    reset: int
    doc: str
    fields: tuple[BitField, ...]

    @property
    def access(self) -> str:
        """``read-only``, ``write-only`` or ``read-write``."""
        return "read-write" if self.readable and self.writable else "read-only" if self.readable else "write-only"


def register_map(units: Sequence[Unit] = CORE_UNITS) -> list[RegisterEntry]:
    """All registers of an accelerator with these units, by ascending address."""
    return sorted([*_named(units), *_counters(units)], key=lambda entry: entry.address)


def commented(enum: type[IntEnum]) -> Iterator[tuple[IntEnum, str]]:
    """Enum members with their comments in the source."""
    for line in inspect.getsource(enum).splitlines():
        name, equals, rest = line.strip().partition(" = ")
        if equals and name in enum.__members__:
            yield enum[name], rest.partition("#")[2].strip()


def _named(units: Sequence[Unit]) -> Iterator[RegisterEntry]:
    access = text = ""
    for register, comment in commented(Register):
        low = Register[register.name.removesuffix("_HIGH")]
        if register is low:
            access, _, text = comment.partition(": ")
        if register in ALIASES:
            continue
        reset = RESET_VALUES.get(low, 0) >> REGISTER_BITS * (register is not low) & (1 << REGISTER_BITS) - 1
        doc = text if register is low else f"upper half of {low.name}"
        if register in BLOCKS:
            yield from _of_each(Register(register), access, doc, units)
        else:
            yield _entry(register.name, register, access, reset, doc)


def _of_each(register: Register, access: str, doc: str, units: Sequence[Unit]) -> Iterator[RegisterEntry]:
    kind, distance = BLOCKS[register]
    for member in blocks_of(units) if kind is Block else units:
        for half, suffix in enumerate(("", "_HIGH")[:distance // REGISTER_BYTES]):
            address = register + distance * member + REGISTER_BYTES * half
            yield _entry(f"{register.name}_{member.name}{suffix}", address, access, 0, f"{member.name}: {doc}")


def _counters(units: Sequence[Unit]) -> Iterator[RegisterEntry]:
    for block in blocks_of(units):
        for cause in Cause:
            for half, suffix in enumerate(("", "_HIGH")):
                yield _entry(f"COUNTER_{block.name}_{cause.name}{suffix}",
                             counter_address(block, cause) + REGISTER_BYTES * half, "read", 0,
                             f"cycles in which {block.name} counted for {cause.name}; 64 bits")


def _entry(name: str, address: int, access: str, reset: int, doc: str) -> RegisterEntry:
    return RegisterEntry(name, int(address), "read" in access, "write" in access, reset, doc.replace("`", ""), _fields(name))


def _fields(name: str) -> tuple[BitField, ...]:
    if name == Register.CONTROL.name:
        return tuple(BitField(bit.name, bit, 1) for bit in Control)
    if name == Register.STATUS.name:
        return tuple(BitField(bit.name, bit, ERROR_BITS if bit is Status.ERROR else 1) for bit in Status)
    return (BitField("VALUE", 0, REGISTER_BITS),)
