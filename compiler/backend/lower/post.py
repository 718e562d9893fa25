"""What all POST instructions share: destination, clamps, residual, table, and what they show."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.hazards import NEVER
from arrayloom.compiler.backend.parameters import ENTRY_BYTES_PER_LANE
from arrayloom.compiler.backend.steps import Step
from arrayloom.compiler.backend.stream import Address, Effects
from arrayloom.compiler.backend.tables import table_page
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import LoadParameters, LoadTable


@dataclass(frozen=True)
class Piece:
    """Part of one block of a step's output: rows [y, y + height), columns [x, x + width)."""

    block: int
    y: int
    x: int
    height: int
    width: int


@dataclass
class TableUse:
    """The table of a step: loaded when a block needs it, released after the last instruction that used it."""

    context: LoweringContext
    step: Step
    _page: int | None = None    # the block whose page is at the head of the FIFO; 0 for a table of all blocks
    _last: int = NEVER          # the last instruction that used it

    def prepare(self, block: int) -> None:
        """Has the page for ``block`` at the head of the table FIFO."""
        if self.step.table is None:
            return
        page = block if self.step.per_channel_table else 0
        if page != self._page:
            self.release()
            data = table_page(self.step.table, self._channels(block), self.context.config.size)
            self.context.stream.add(LoadTable, {"address": self.context.constants.add(data)})
            self._page = page

    def used(self, index: int) -> None:
        self._last = index

    def release(self) -> None:
        """Marks the last user of the page as such."""
        if self._page is not None:
            self.context.stream.items[self._last].fields["release_table"] = 1
            self._page = None

    def _channels(self, block: int) -> np.ndarray:
        layout = self.context.network.layouts[self.step.output]
        channels = np.full(layout.blocks * layout.size, -1)
        channels[layout.slots()] = np.arange(layout.channels)
        return channels[block * layout.size:(block + 1) * layout.size]


def add_post(context: LoweringContext, step: Step, operands: Operands, piece: Piece, table: TableUse,
             kind: type[Instruction],
             own: dict[str, Any], reads: tuple[Span, ...] = (), after: int = NEVER) -> int:
    """Appends a POST instruction for a piece; ``own``: the fields of its own operation, ``reads``: what that reads."""
    fields = _common(step, operands, piece) | own
    if step.residual and operands.residual:
        context.fetch(step.residual.tensor, piece.y + piece.height)
        fields |= _residual(step, operands, piece)
        reads += (operands.residual.span(piece.block, 1, piece.y, piece.y + piece.height, piece.x, piece.width),)
    table.prepare(piece.block)
    writes = operands.y.span(piece.block, 1, piece.y, piece.y + piece.height, piece.x, piece.width)
    marks = context.marks(step, piece.block, piece.y, piece.x)
    index = context.stream.add(kind, fields, Effects(reads, (writes,)), after, marks)
    table.used(index)
    return index


def load_parameters(context: LoweringContext, address: Address, entries: int, skip: int = 0) -> None:
    """Loads ``entries`` entries, the first being entry ``skip`` at ``address``."""
    offset = address.offset + skip * ENTRY_BYTES_PER_LANE * context.config.lanes
    context.stream.add(LoadParameters, {"address": Address(address.section, offset), "entries": entries})


def _common(step: Step, operands: Operands, piece: Piece) -> dict[str, Any]:
    return {"destination": operands.y.word(piece.block, piece.y, piece.x), "destination_pitch": operands.y.columns,
            "height": piece.height, "width": piece.width, "low": step.low, "high": step.high,
            "table": int(step.table is not None)}


def _residual(step: Step, operands: Operands, piece: Piece) -> dict[str, Any]:
    residual, area = step.residual, operands.residual
    if residual is None or area is None:
        return {}
    return asdict(residual.constants) | {
        "add": 1, "swap": int(residual.swap), "residual": area.word(piece.block, piece.y, piece.x),
        "residual_pitch": area.columns, "add_low": residual.low, "add_high": residual.high}
