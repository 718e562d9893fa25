"""The end of a POST instruction for a whole step: the residual add, and the lookup table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.plan.works import Index

Bytes = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Add:
    """The residual add: ``words`` int32[pixels, blocks], and ``table`` int8[65536], the sum of each pair of bytes."""

    words: Index
    table: Bytes
    swap: bool

    def __call__(self, own: Bytes, words: NDArray[Any], pixels: slice) -> Bytes:
        residual = words.take(self.words[pixels], axis=1, mode="clip").view(np.int8).reshape(own.shape)
        a, b = (residual, own) if self.swap else (own, residual)
        index = np.left_shift(a.view(np.uint8), 8, dtype=np.uint16)
        np.bitwise_or(index, b.view(np.uint8), out=index)
        return self.table.take(index)


@dataclass(frozen=True, eq=False)
class LookUp:
    """The lookup table: int8[256] of all columns, or int8[256, columns], by the byte without its sign."""

    table: Bytes

    @classmethod
    def of_pages(cls, pages: Bytes) -> "LookUp":
        """``pages``: int8[256, columns], by the byte plus 128."""
        table = np.roll(pages, 128, 0)
        return cls(np.ascontiguousarray(table[:, 0]) if (table == table[:, :1]).all() else table)

    def __call__(self, own: Bytes) -> Bytes:
        if self.table.ndim == 1:
            return self.table.take(own.view(np.uint8))
        columns = self.table.shape[1]
        return self.table.ravel().take(own.view(np.uint8).astype(np.int64) * columns + np.arange(columns))


@dataclass(frozen=True, eq=False)
class Finish:
    """The final operation on each byte."""

    add: Add | None = None
    look_up: LookUp | None = None

    def __call__(self, own: Bytes, words: NDArray[Any], pixels: slice) -> Bytes:
        """``own``: int8[rows, columns], results of these pixels in the images of ``words``."""
        result = self.add(own, words, pixels) if self.add else own
        return self.look_up(result) if self.look_up else result
