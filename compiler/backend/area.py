"""Areas of the scratchpad that hold a tensor or a row tile, and the sets of words that an instruction accesses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Span:
    """A set of words: ``blocks`` x ``rows`` runs of ``words`` consecutive words; the first run begins at ``start``."""

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
    """An area that begins at word ``base``: rows [top, top + rows) of channel blocks [block, block + blocks) of a tensor."""

    base: int
    columns: int
    rows: int
    blocks: int
    top: int = 0
    block: int = 0
    scale: tuple[int, int] = (1, 1)     # how often each row and each column of the tensor is repeated when it is read

    @property
    def plane(self) -> int:
        """Words between channel blocks."""
        return self.rows * self.columns

    @property
    def words(self) -> int:
        return self.blocks * self.plane

    def word(self, block: int, row: int, column: int = 0) -> int:
        """Returns the address of a pixel's word; block, row and column are those of the tensor."""
        return self.base + (block - self.block) * self.plane + (row - self.top) * self.columns + column

    def span(self, block: int, blocks: int, first: int, last: int, column: int = 0, width: int | None = None) -> Span:
        """Returns the words of rows [first, last) of some blocks: whole rows, or ``width`` columns from ``column``."""
        words = self.columns if width is None else width
        start = self.word(block, first, column)
        if words == self.columns:
            return Span(start, words * (last - first), blocks=blocks, block_pitch=self.plane)
        return Span(start, words, last - first, self.columns, blocks, self.plane)

    def parts(self, block: int, blocks: int) -> Iterator["Area"]:
        """Yields the areas that hold blocks [block, block + blocks), in order."""
        yield replace(self, base=self.word(block, self.top), block=block, blocks=blocks)


@dataclass(frozen=True)
class Scattered(Area):
    """The channel blocks of one tensor in several areas; a span must not cover more than one block."""

    areas: tuple[Area, ...] = ()

    def word(self, block: int, row: int, column: int = 0) -> int:
        """Returns the address of a pixel's word; block, row and column are those of the tensor."""
        area = next(area for area in self.areas if 0 <= block - area.block < area.blocks)
        return area.word(block, row, column)

    def parts(self, block: int, blocks: int) -> Iterator[Area]:
        """Yields the areas that hold blocks [block, block + blocks), in order."""
        for area in self.areas:
            first, last = max(block, area.block), min(block + blocks, area.block + area.blocks)
            if first < last:
                yield from area.parts(first, last - first)


@dataclass(frozen=True)
class Streamed(Area):
    """Channel blocks in memory, loaded ``held`` at a time into one of several buffers; the first begins at ``base``."""

    held: int = 1
    buffers: int = 1

    def parts(self, block: int, blocks: int) -> Iterator[Area]:
        """Yields the buffers that hold blocks [block, block + blocks) once they are loaded, in order."""
        size = self.held * self.plane
        for number, first in enumerate(range(block, block + blocks, self.held)):
            count = min(self.held, block + blocks - first)
            base = self.base + number % self.buffers * size
            yield Area(base, self.columns, self.rows, count, self.top, first)
