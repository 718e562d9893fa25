"""What the POST unit does to each byte of an operation's result: a clamp, a residual add or product, a lookup table."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import BYTE_VALUES, LOOKUP_TABLE_WORDS
from arrayloom.isa.layout import to_signed
from arrayloom.isa.program import Stage

LookupTable = NDArray[np.int8]      # [1 or C, 256]: what signed byte i - 128 becomes

LOW, HIGH = -128, 127
IDENTITY: LookupTable = np.arange(-128, 128, dtype=np.int8)[None]


@dataclass(frozen=True)
class AddConstants:
    """Constants of the residual add, or of the product in its place, as the instruction holds them."""

    ratio_a: int
    ratio_b: int
    add_offset: int
    a_offset: int
    b_offset: int
    sum_offset: int
    multiply: int = 0
    product_zero: int = 0


@dataclass(frozen=True)
class Residual:
    """The second operand of an add, and the clamp of the sum; with ``swap`` it is the one that ``ratio_a`` belongs to."""

    tensor: str
    swap: bool
    constants: AddConstants
    low: int = LOW
    high: int = HIGH


@dataclass(frozen=True, eq=False)
class Epilogue:
    """The end of a step, in the order of the POST instruction: a clamp to [low, high], a residual add or product with a
    clamp of its own, a lookup table."""

    low: int = LOW
    high: int = HIGH
    residual: Residual | None = None
    lookup_table: LookupTable | None = None

    @property
    def clamps(self) -> bool:
        return (self.low, self.high) != (LOW, HIGH)

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return self.clamps or self.residual is not None or self.lookup_table is not None

    @property
    def per_channel(self) -> bool:
        """Whether the lookup table has a row for each channel."""
        return self.lookup_table is not None and len(self.lookup_table) > 1

    @property
    def stage(self) -> Stage:
        """The stage of the POST instruction after which a byte is the step's result."""
        if self.lookup_table is not None:
            return Stage.LOOKUP_TABLE
        return Stage.SUM if self.residual else Stage.OWN

    def clamped(self, low: int, high: int) -> Self:
        """With another clamp at its end."""
        if self.lookup_table is not None:
            return replace(self, lookup_table=compose(self.lookup_table, clamp_lookup_table(low, high)))
        if self.residual is not None:
            bounds = _narrowed(self.residual.low, self.residual.high, low, high)
            return replace(self, residual=replace(self.residual, low=bounds[0], high=bounds[1]))
        bounds = _narrowed(self.low, self.high, low, high)
        return replace(self, low=bounds[0], high=bounds[1])

    def looked_up(self, table: LookupTable) -> Self:
        """With another lookup table at its end."""
        return replace(self, lookup_table=table if self.lookup_table is None else compose(self.lookup_table, table))

    def __str__(self) -> str:
        parts = [f"clamp {self.low}..{self.high}"] if self.clamps else []
        if self.residual:
            parts.append(f"add {self.residual.tensor}")
        if self.lookup_table is not None:
            parts.append("lookup table per channel" if self.per_channel else "lookup table")
        return " | ".join(parts)


def _narrowed(low: int, high: int, then_low: int, then_high: int) -> tuple[int, int]:
    """One clamp that does what two do, one after the other."""
    return max(then_low, min(low, then_high)), min(then_high, max(high, then_low))


def signed_lookup_table(table: NDArray[Any], source: np.dtype[Any]) -> LookupTable:
    """Rows of 256 indexed by the raw byte of a ``source`` tensor, as rows indexed by signed byte + 128."""
    ordered = table if source == np.uint8 else np.roll(table, 128, axis=1)
    return to_signed(np.ascontiguousarray(ordered))


def clamp_lookup_table(low: int, high: int) -> LookupTable:
    return np.clip(IDENTITY, low, high).astype(np.int8)


def is_identity(table: LookupTable) -> bool:
    return bool((table == IDENTITY).all())


def compose(first: LookupTable, second: LookupTable) -> LookupTable:
    """``second`` after ``first``; per channel where one of them is."""
    rows = max(len(first), len(second))
    index = np.broadcast_to(first, (rows, BYTE_VALUES)).astype(np.int16) + 128
    return np.take_along_axis(np.broadcast_to(second, (rows, BYTE_VALUES)), index, 1)


def lookup_table_page(table: LookupTable, channels: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """A page of the table memory for one block; ``channels``: int64[size], the channel in each lane, -1 for a gap."""
    if len(table) == 1:
        page = np.broadcast_to(table[0][:, None], (LOOKUP_TABLE_WORDS, size))
    else:
        page = np.where(channels >= 0, table[np.maximum(channels, 0)].T, 0)
    return np.ascontiguousarray(page, np.int8).view(np.uint8).ravel()
