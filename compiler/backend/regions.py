"""How an output is cut into regions that an accumulator half holds."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """Rows [y, y + height), columns [x, x + width); ``closes_rows``: the last region of these rows."""

    y: int
    x: int
    height: int
    width: int
    closes_rows: bool

    @property
    def pixels(self) -> int:
        return self.height * self.width


def cut(first: int, last: int, width: int, depth: int) -> Iterator[Region]:
    """Regions of at most ``depth`` pixels that cover rows [first, last), as few and as even as possible."""
    counts = range(-(-width // depth), width + 1)
    columns = min(counts, key=lambda count: (_regions(first, last, width, depth, count), count))
    rows = -(-(last - first) // _rows(width, depth, columns))
    for y, height in _even(first, last, rows):
        for x, part in _even(0, width, columns):
            yield Region(y, x, height, part, x + part == width)


def rows_per_region(width: int, depth: int) -> int:
    """Whole rows that a region holds, at least one."""
    return max(1, depth // width)


def _rows(width: int, depth: int, columns: int) -> int:
    return max(1, depth // -(-width // columns))


def _regions(first: int, last: int, width: int, depth: int, columns: int) -> int:
    return columns * -(-(last - first) // _rows(width, depth, columns))


def _even(first: int, last: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, length) of ``count`` pieces of [first, last) whose lengths differ by at most one."""
    for index in range(count):
        start = first + (last - first) * index // count
        end = first + (last - first) * (index + 1) // count
        yield start, end - start
