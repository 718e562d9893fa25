"""Where a tensor, or a row tile of it, lies on chip; and the sets of words that an instruction touches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Span:
    """``blocks`` times ``rows`` runs of ``words`` words from ``start``."""

    start: int
    words: int
    rows: int = 1
    row_pitch: int = 0
    blocks: int = 1
    block_pitch: int = 0

    @property
    def end(self) -> int:
        """One past the last word."""
        return self.start + (self.blocks - 1) * self.block_pitch + (self.rows - 1) * self.row_pitch + self.words


@dataclass(frozen=True)
class Area:
    """Rows [top, top + rows) of channel blocks [block, block + blocks) of a tensor, from word ``base`` on."""

    base: int
    columns: int
    rows: int
    blocks: int
    top: int = 0
    block: int = 0
    scale: tuple[int, int] = (1, 1)     # rows and columns of what is read for each of the tensor's own

    @property
    def plane(self) -> int:
        """Words between channel blocks."""
        return self.rows * self.columns

    @property
    def words(self) -> int:
        return self.blocks * self.plane

    def word(self, block: int, row: int, column: int = 0) -> int:
        """The word of a pixel, in the tensor's own coordinates."""
        return self.base + (block - self.block) * self.plane + (row - self.top) * self.columns + column

    def span(self, block: int, blocks: int, first: int, last: int, column: int = 0, width: int | None = None) -> Span:
        """Rows [first, last) of some blocks; whole rows unless ``width`` is given."""
        words = self.columns if width is None else width
        start = self.word(block, first, column)
        if words == self.columns:
            return Span(start, words * (last - first), blocks=blocks, block_pitch=self.plane)
        return Span(start, words, last - first, self.columns, blocks, self.plane)


    def parts(self, block: int, blocks: int) -> Iterator["Area"]:
        """Where some blocks lie, part by part; each with its first block and their number."""
        yield replace(self, base=self.word(block, self.top), block=block, blocks=blocks)


@dataclass(frozen=True)
class Scattered(Area):
    """Blocks that lie in several areas; a span of it is of one block."""

    areas: tuple[Area, ...] = ()

    def word(self, block: int, row: int, column: int = 0) -> int:
        """The word of a pixel, in the tensor's own coordinates."""
        area = next(area for area in self.areas if 0 <= block - area.block < area.blocks)
        return area.word(block, row, column)

    def parts(self, block: int, blocks: int) -> Iterator[Area]:
        """Where some blocks lie, area by area."""
        for area in self.areas:
            first, last = max(block, area.block), min(block + blocks, area.block + area.blocks)
            if first < last:
                yield from area.parts(first, last - first)


@dataclass(frozen=True)
class Streamed(Area):
    """Blocks that lie in memory, of which ``held`` at a time are loaded to one of several buffers from ``base`` on."""

    held: int = 1
    buffers: int = 1

    def parts(self, block: int, blocks: int) -> Iterator[Area]:
        """Where some blocks lie once they are loaded, part by part."""
        size = self.held * self.plane
        for number, first in enumerate(range(block, block + blocks, self.held)):
            count = min(self.held, block + blocks - first)
            base = self.base + number % self.buffers * size
            yield Area(base, self.columns, self.rows, count, self.top, first)
