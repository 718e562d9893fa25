"""How an output is cut into regions that an accumulator bank holds."""

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
    """Even regions of at most ``depth`` pixels that cover rows [first, last): whole rows where one fits, because what
    reads them then starts earliest, else the fewest columns."""
    columns = -(-width // depth)
    rows = -(-(last - first) // rows_per_region(width, depth))
    for y, height in _even(first, last, rows):
        for x, part in _even(0, width, columns):
            yield Region(y, x, height, part, x + part == width)


def rows_per_region(width: int, depth: int) -> int:
    """Whole rows that a region holds, at least one."""
    return max(1, depth // width)


def _even(first: int, last: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, length) of ``count`` pieces of [first, last) whose lengths differ by at most one."""
    for index in range(count):
        start = first + (last - first) * index // count
        end = first + (last - first) * (index + 1) // count
        yield start, end - start
