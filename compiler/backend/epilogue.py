"""Epilogues: what the POST unit applies to each byte of a result: a clamp, a residual add or product, a lookup table."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import BYTE_VALUES, LOOKUP_TABLE_WORDS
from arrayloom.isa.layout import to_signed
from arrayloom.isa.program import Stage

LookupTable = NDArray[np.int8]      # [1 or C, 256]: entry i is the result for signed byte i - 128

LOW, HIGH = -128, 127
IDENTITY: LookupTable = np.arange(-128, 128, dtype=np.int8)[None]


@dataclass(frozen=True)
class AddConstants:
    """Constants of the residual add or product, in the form of the instruction's fields."""

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
    """The second operand of a residual add and the clamp of the sum; with ``swap``, ``ratio_a`` applies to this operand."""

    tensor: str
    swap: bool
    constants: AddConstants
    low: int = LOW
    high: int = HIGH


@dataclass(frozen=True, eq=False)
class Epilogue:
    """The epilogue of a step, in the order of the POST instruction: a clamp to [low, high], a residual add or product with
    its own clamp, a lookup table."""

    low: int = LOW
    high: int = HIGH
    residual: Residual | None = None
    lookup_table: LookupTable | None = None

    @property
    def clamps(self) -> bool:
        return (self.low, self.high) != (LOW, HIGH)

    @property
    def changes(self) -> bool:
        """Whether the epilogue changes any byte."""
        return self.clamps or self.residual is not None or self.lookup_table is not None

    @property
    def per_channel(self) -> bool:
        """Whether the lookup table has a row for each channel."""
        return self.lookup_table is not None and len(self.lookup_table) > 1

    @property
    def stage(self) -> Stage:
        """The last stage of the POST instruction that is in use; its bytes are the step's result."""
        if self.lookup_table is not None:
            return Stage.LOOKUP_TABLE
        return Stage.SUM if self.residual else Stage.OWN

    def clamped(self, low: int, high: int) -> Self:
        """Returns the epilogue followed by a clamp."""
        if self.lookup_table is not None:
            return replace(self, lookup_table=compose(self.lookup_table, clamp_lookup_table(low, high)))
        if self.residual is not None:
            bounds = _narrowed(self.residual.low, self.residual.high, low, high)
            return replace(self, residual=replace(self.residual, low=bounds[0], high=bounds[1]))
        bounds = _narrowed(self.low, self.high, low, high)
        return replace(self, low=bounds[0], high=bounds[1])

    def looked_up(self, table: LookupTable) -> Self:
        """Returns the epilogue followed by a lookup table."""
        return replace(self, lookup_table=table if self.lookup_table is None else compose(self.lookup_table, table))

    def __str__(self) -> str:
        parts = [f"clamp {self.low}..{self.high}"] if self.clamps else []
        if self.residual:
            parts.append(f"add {self.residual.tensor}")
        if self.lookup_table is not None:
            parts.append("lookup table per channel" if self.per_channel else "lookup table")
        return " | ".join(parts)


def _narrowed(low: int, high: int, then_low: int, then_high: int) -> tuple[int, int]:
    """Returns the bounds of one clamp that is equal to two successive ones."""
    return max(then_low, min(low, then_high)), min(then_high, max(high, then_low))


def signed_lookup_table(table: NDArray[Any], source: np.dtype[Any]) -> LookupTable:
    """Reorders tables [n, 256] from indices by the raw byte of a ``source`` tensor to indices by signed byte + 128."""
    ordered = table if source == np.uint8 else np.roll(table, 128, axis=1)
    return to_signed(np.ascontiguousarray(ordered))


def clamp_lookup_table(low: int, high: int) -> LookupTable:
    return np.clip(IDENTITY, low, high).astype(np.int8)


def is_identity(table: LookupTable) -> bool:
    return bool((table == IDENTITY).all())


def compose(first: LookupTable, second: LookupTable) -> LookupTable:
    """Returns the table of ``second`` applied after ``first``; it has a row per channel if one of the two has."""
    rows = max(len(first), len(second))
    index = np.broadcast_to(first, (rows, BYTE_VALUES)).astype(np.int16) + 128
    return np.take_along_axis(np.broadcast_to(second, (rows, BYTE_VALUES)), index, 1)


def lookup_table_page(table: LookupTable, channels: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Returns a page of the table memory for one block; ``channels``: int64[size], the channel in each slot, -1 for none."""
    if len(table) == 1:
        page = np.broadcast_to(table[0][:, None], (LOOKUP_TABLE_WORDS, size))
    else:
        page = np.where(channels >= 0, table[np.maximum(channels, 0)].T, 0)
    return np.ascontiguousarray(page, np.int8).view(np.uint8).ravel()
