"""How a step passes over its tensors: at once where they have places on chip, else in iterations
through a scratch buffer."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from arrayloom.compiler.backend.area import Area, Streamed
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.layouts import allocation_root, member_of
from arrayloom.compiler.backend.row_tiles import BUFFERS, Role, RowTiles, cut_row_tiles, rows_per_region, tensors
from arrayloom.compiler.backend.steps import Step

SLICE = 512     # words, about, in which a row tile is loaded, so that weights get through in between


@dataclass(frozen=True)
class TileIteration:
    """Rows [first, last) of some blocks of a step's output."""

    number: int
    blocks: range
    first: int
    last: int


@dataclass
class TilingPlan:
    """The iterations of the context's step; where it needs a scratch buffer, that begins at word ``base`` and holds
    ``row_tiles``."""

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
        return self.row_tiles is not None and self.row_tiles.buffers == BUFFERS

    def operands(self, iteration: TileIteration) -> Operands:
        """Where the step's tensors lie while the iteration is computed."""
        areas = {role: self._area(role, name, iteration) for role, name in tensors(self.step).items()}
        return Operands(areas[Role.X], areas[Role.Y], areas.get(Role.RESIDUAL))

    def load(self, number: int) -> Iterator[int]:
        """Copies what iteration ``number`` reads into its buffers, slice by slice; yields the words of each."""
        if self.row_tiles is None or number >= len(self.iterations):
            return
        iteration = self.iterations[number]
        for role, name in tensors(self.step).items():
            if self._is_loaded(role, name, iteration):
                area = self._area(role, name, iteration)
                for part in _slices(area):
                    self.context.load(name, area, *part)
                    yield part.blocks * (part.last - part.first) * area.columns

    def store(self, iteration: TileIteration) -> None:
        """Copies what an iteration computed to memory, where the output has no place on chip."""
        if self.row_tiles is not None and Role.Y in self.row_tiles.sizes:
            area = self._area(Role.Y, self.step.output, iteration)
            self.context.store(self.step.output, area, area.block, area.blocks, area.top, area.top + area.rows)

    def _area(self, role: Role, name: str, iteration: TileIteration) -> Area:
        if self.row_tiles is None or not self._is_buffered(role, name, iteration):
            return self.context.area(name)
        layout = self.context.network.layouts[name]
        first, last, blocks = iteration.first, iteration.last, iteration.blocks
        if role is Role.X:
            first, last = self.step.operation.source_rows(first, last, layout.rows)
            blocks = range(layout.blocks) if self.step.on_array else blocks
        if role is Role.X and self.row_tiles.held:
            base = self.base + self.row_tiles.offset(role, 0)
            return Streamed(base, layout.columns, last - first, len(blocks), first, blocks.start, self.row_tiles.held,
                            self.row_tiles.buffers)
        base = self.base + self.row_tiles.offset(role, iteration.number)
        return Area(base, layout.columns, last - first, len(blocks), first, blocks.start)

    def _is_loaded(self, role: Role, name: str, iteration: TileIteration) -> bool:
        """Whether what an iteration reads is loaded before it begins."""
        streams = role is Role.X and self.row_tiles is not None and self.row_tiles.held > 0
        return role is not Role.Y and not streams and self._is_buffered(role, name, iteration)

    def _is_buffered(self, role: Role, name: str, iteration: TileIteration) -> bool:
        """Whether what an iteration touches of a tensor passes through a buffer; of a virtual concatenation, one block."""
        if self.row_tiles is None or role not in self.row_tiles.sizes:
            return False
        member = member_of(self.context.network, name, iteration.blocks.start)[0]
        return allocation_root(self.context.network, member)[0] not in self.context.placement.chip


class _Slice(NamedTuple):
    block: int
    blocks: int
    first: int
    last: int


def _slices(area: Area) -> Iterator[_Slice]:
    """Rows of blocks that cover the area; few at once, and at least one row of one block."""
    rows = min(max(1, SLICE // area.columns), max(1, area.rows))
    blocks = max(1, SLICE // (rows * area.columns))
    for first in range(area.top, area.top + area.rows, rows):
        for block in range(area.block, area.block + area.blocks, blocks):
            count = min(blocks, area.block + area.blocks - block)
            yield _Slice(block, count, first, min(first + rows, area.top + area.rows))
