"""Iterations of a step over its tensors: one if they are on chip, otherwise one per row tile through a scratch buffer."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from arrayloom.compiler.backend.area import Area, Streamed
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.layouts import allocation_root, member_of
from arrayloom.compiler.backend.row_tiles import BUFFERS, Role, RowTiles, cut_row_tiles, rows_per_region, tensors
from arrayloom.compiler.backend.steps import Step

SLICE = 512     # approximate words of a load; longer loads are split so that weights can be loaded in between


@dataclass(frozen=True)
class TileIteration:
    """One iteration: rows [first, last) of some channel blocks of a step's output."""

    number: int
    blocks: range
    first: int
    last: int


@dataclass
class TilingPlan:
    """The iterations of the context's step; its scratch buffer, if any, begins at word ``base`` and holds ``row_tiles``."""

    context: LoweringContext
    base: int = 0
    row_tiles: RowTiles | None = None

    @property
    def step(self) -> Step:
        return self.context.step

    @cached_property
    def iterations(self) -> list[TileIteration]:
        layout = self.context.network.layouts[self.step.output]
        everything = range(layout.blocks)
        if self.row_tiles is None:
            return [TileIteration(0, everything, 0, layout.height)]
        parts = [everything] if self.step.on_array else [range(block, block + 1) for block in everything]
        head = rows_per_region(layout.width, self.context.config.accumulator_depth)
        cuts = list(cut_row_tiles(layout.height, self.row_tiles.rows, head))
        pieces = [(part, first, last) for part in parts for first, last in cuts]
        return [TileIteration(number, *piece) for number, piece in enumerate(pieces)]

    @property
    def overlaps(self) -> bool:
        """Whether the next iteration may be loaded while this one is computed."""
        return self.row_tiles is not None and (self.row_tiles.whole or self.row_tiles.buffers == BUFFERS)

    def operands(self, iteration: TileIteration) -> Operands:
        """Returns the areas of the step's tensors while the iteration is computed."""
        areas = {role: self._area(role, name, iteration) for role, name in tensors(self.step).items()}
        return Operands(areas[Role.X], areas[Role.Y], areas.get(Role.RESIDUAL))

    def load(self, number: int) -> Iterator[int]:
        """Writes the loads of what iteration ``number`` reads, in slices; yields the words of each slice."""
        if self.row_tiles is None or number >= len(self.iterations):
            return
        iteration = self.iterations[number]
        for role, name in tensors(self.step).items():
            if self._is_loaded(role, name, iteration):
                area = self._area(role, name, iteration)
                for first, last in self._new_rows(role, iteration):
                    for part in _slices(area, first, last):
                        self.context.load(name, area, *part)
                        yield part.blocks * (part.last - part.first) * area.columns

    def store(self, iteration: TileIteration) -> None:
        """Writes the store of what an iteration computed, if the output has no place on chip."""
        if self.row_tiles is not None and Role.Y in self.row_tiles.sizes:
            area = self._area(Role.Y, self.step.output, iteration)
            self.context.store(self.step.output, area, area.block, area.blocks, iteration.first, iteration.last)

    def _area(self, role: Role, name: str, iteration: TileIteration) -> Area:
        if self.row_tiles is None or not self._is_buffered(role, name, iteration):
            return self.context.area(name)
        layout = self.context.network.layouts[name]
        if self.row_tiles.whole:
            return Area(self.base + self.row_tiles.offset(role, 0), layout.columns, layout.rows, layout.blocks)
        blocks = iteration.blocks
        first, last = self._rows(role, iteration)
        if role is Role.X:
            blocks = range(layout.blocks) if self.step.on_array else blocks
        if role is Role.X and self.row_tiles.held:
            base = self.base + self.row_tiles.offset(role, 0)
            return Streamed(base, layout.columns, last - first, len(blocks), first, blocks.start,
                            held=self.row_tiles.held, buffers=self.row_tiles.buffers)
        base = self.base + self.row_tiles.offset(role, iteration.number)
        return Area(base, layout.columns, last - first, len(blocks), first, blocks.start)

    def _rows(self, role: Role, iteration: TileIteration) -> tuple[int, int]:
        """Returns the rows [first, last) of a tensor that an iteration accesses."""
        if role is not Role.X:
            return iteration.first, iteration.last
        height = self.context.network.layouts[self.step.x].rows
        return self.step.operation.source_rows(iteration.first, iteration.last, height)

    def _new_rows(self, role: Role, iteration: TileIteration) -> list[tuple[int, int]]:
        """Returns the ranges of rows to load for an iteration; if the buffers hold all rows, only those not yet loaded."""
        if self.row_tiles is None or not self.row_tiles.whole or iteration.number == 0:
            return [self._rows(role, iteration)]
        earlier = [self._rows(role, each) for each in self.iterations[:iteration.number]]
        low, high = min(first for first, _ in earlier), max(last for _, last in earlier)
        first, last = self._rows(role, iteration)
        return [(begin, end) for begin, end in ((first, low), (high, last)) if begin < end]

    def _is_loaded(self, role: Role, name: str, iteration: TileIteration) -> bool:
        """Whether a tensor's rows are loaded before the iteration begins."""
        streams = role is Role.X and self.row_tiles is not None and self.row_tiles.held > 0
        return role is not Role.Y and not streams and self._is_buffered(role, name, iteration)

    def _is_buffered(self, role: Role, name: str, iteration: TileIteration) -> bool:
        """Whether a tensor passes through a buffer; for a virtual concatenation, whether the member with the block does."""
        if self.row_tiles is None or role not in self.row_tiles.sizes:
            return False
        member = member_of(self.context.network, name, iteration.blocks.start)[0]
        return allocation_root(self.context.network, member)[0] not in self.context.placement.chip


class _Slice(NamedTuple):
    block: int
    blocks: int
    first: int
    last: int


def _slices(area: Area, first: int, last: int) -> Iterator[_Slice]:
    """Yields rows [first, last) of all blocks of the area in parts of about ``SLICE`` words, at least one row of a block."""
    rows = min(max(1, SLICE // area.columns), max(1, last - first))
    blocks = max(1, SLICE // (rows * area.columns))
    for row in range(first, last, rows):
        for block in range(area.block, area.block + area.blocks, blocks):
            count = min(blocks, area.block + area.blocks - block)
            yield _Slice(block, count, row, min(row + rows, last))
