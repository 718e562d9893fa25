"""How a step passes over its tensors: at once where they have places on chip, else in turns through scratch memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from arrayloom.compiler.backend.area import Area, Streamed
from arrayloom.compiler.backend.context import Operands, Site
from arrayloom.compiler.backend.layouts import home, member_of
from arrayloom.compiler.backend.regions import rows_per_region
from arrayloom.compiler.backend.row_tiles import BUFFERS, Bands, Role, cut_bands, tensors
from arrayloom.compiler.backend.steps import Step

SLICE = 512     # words, about, in which a band is loaded, so that weights get through in between


@dataclass(frozen=True)
class Turn:
    """Rows [first, last) of some blocks of a step's output."""

    number: int
    blocks: range
    first: int
    last: int


@dataclass
class Passage:
    """The turns of a step; ``base`` and ``bands`` of its scratch arena where it needs one."""

    site: Site
    step: Step
    base: int = 0
    bands: Bands | None = None

    @cached_property
    def turns(self) -> list[Turn]:
        layout = self.site.network.layouts[self.step.output]
        everything = range(layout.blocks)
        if self.bands is None:
            return [Turn(0, everything, 0, layout.height)]
        parts = [everything] if self.step.on_array else [range(block, block + 1) for block in everything]
        head = rows_per_region(layout.width, self.site.config.accumulator_depth)
        cuts = list(cut_bands(layout.height, self.bands.rows, head))
        pieces = [(part, first, last) for part in parts for first, last in cuts]
        return [Turn(number, *piece) for number, piece in enumerate(pieces)]

    @property
    def overlaps(self) -> bool:
        """Whether the next turn may be loaded while this one is computed."""
        return self.bands is not None and self.bands.buffers == BUFFERS

    def operands(self, turn: Turn) -> Operands:
        areas = {role: self._area(role, name, turn) for role, name in tensors(self.step).items()}
        return Operands(areas[Role.X], areas[Role.Y], areas.get(Role.RESIDUAL))

    def load(self, number: int) -> Iterator[int]:
        """Copies what turn ``number`` reads into its buffers, slice by slice; yields the words of each."""
        if self.bands is None or number >= len(self.turns):
            return
        turn = self.turns[number]
        for role, name in tensors(self.step).items():
            if self._is_loaded(role, name, turn):
                area = self._area(role, name, turn)
                for part in _slices(area):
                    self.site.load(name, area, *part)
                    yield part.blocks * (part.last - part.first) * area.columns

    def store(self, turn: Turn) -> None:
        """Copies what a turn made to memory."""
        if self.bands is not None and Role.Y in self.bands.sizes:
            area = self._area(Role.Y, self.step.output, turn)
            self.site.store(self.step.output, area, area.block, area.blocks, area.top, area.top + area.rows)

    def _area(self, role: Role, name: str, turn: Turn) -> Area:
        if self.bands is None or not self._is_buffered(role, name, turn):
            return self.site.area(name)
        layout = self.site.network.layouts[name]
        first, last, blocks = turn.first, turn.last, turn.blocks
        if role is Role.X:
            first, last = self.step.operation.source_rows(first, last, layout.height)
            blocks = range(layout.blocks) if self.step.on_array else blocks
        if role is Role.X and self.bands.held:
            base = self.base + self.bands.offset(role, 0)
            return Streamed(base, layout.columns, last - first, len(blocks), first, blocks.start, self.bands.held,
                            self.bands.buffers)
        base = self.base + self.bands.offset(role, turn.number)
        return Area(base, layout.columns, last - first, len(blocks), first, blocks.start)

    def _is_loaded(self, role: Role, name: str, turn: Turn) -> bool:
        """Whether what a turn reads is loaded before it begins."""
        streams = role is Role.X and self.bands is not None and self.bands.held > 0
        return role is not Role.Y and not streams and self._is_buffered(role, name, turn)

    def _is_buffered(self, role: Role, name: str, turn: Turn) -> bool:
        """Whether what a turn touches of a tensor passes through a buffer; of what is gathered, it touches one block."""
        if self.bands is None or role not in self.bands.sizes:
            return False
        member = member_of(self.site.network, name, turn.blocks.start)[0]
        return home(self.site.network, member)[0] not in self.site.placement.chip


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
