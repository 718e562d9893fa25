"""Tables of 256 entries, from the model's bytes to the device's signed ones and to pages of memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.steps import Table
from arrayloom.isa.layout import to_signed

IDENTITY: Table = np.arange(-128, 128, dtype=np.int8)[None]


def signed_table(table: NDArray[Any], source: np.dtype[Any]) -> Table:
    """Rows of 256 indexed by the raw byte of a ``source`` tensor, as rows indexed by signed byte + 128."""
    ordered = table if source == np.uint8 else np.roll(table, 128, axis=1)
    return to_signed(np.ascontiguousarray(ordered))


def is_identity(table: Table) -> bool:
    return bool((table == IDENTITY).all())


def clamp_table(low: int, high: int) -> Table:
    return np.clip(IDENTITY, low, high).astype(np.int8)


def compose(first: Table, second: Table) -> Table:
    """``second`` after ``first``; per channel where one of them is."""
    rows = max(len(first), len(second))
    index = np.broadcast_to(first, (rows, 256)).astype(np.int16) + 128
    return np.take_along_axis(np.broadcast_to(second, (rows, 256)), index, 1)


def table_page(table: Table, channels: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """A page for one block; ``channels``: int64[size], the channel in each lane, -1 for a gap."""
    if len(table) == 1:
        page = np.broadcast_to(table[0][:, None], (256, size))
    else:
        page = np.where(channels >= 0, table[np.maximum(channels, 0)].T, 0)
    return np.ascontiguousarray(page, np.int8).view(np.uint8).ravel()
