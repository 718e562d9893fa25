"""Which instruction last wrote and last read each word, unit by unit."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.area import Span
from arrayloom.isa.fields import Unit

NEVER = -1

Indices = NDArray[np.int32]


@dataclass
class HazardTracker:
    """The history of a memory of ``words`` words; instructions are named by ascending indices."""

    words: int
    written: dict[Unit, Indices] = field(default_factory=dict)
    read: dict[Unit, Indices] = field(default_factory=dict)

    def note_read(self, unit: Unit, span: Span, index: int) -> None:
        self._note(self.read, unit, span, index)

    def note_write(self, unit: Unit, span: Span, index: int) -> None:
        self._note(self.written, unit, span, index)

    def before_read(self, span: Span) -> dict[Unit, int]:
        """The last instruction of each unit that wrote there."""
        return {unit: int(_view(words, span).max()) for unit, words in self.written.items()}

    def before_write(self, unit: Unit, span: Span) -> dict[Unit, int]:
        """The last instruction of each other unit that wrote or read there; a unit keeps its own order."""
        last: dict[Unit, int] = {}
        for table in (self.written, self.read):
            for other, words in table.items():
                if other is not unit:
                    last[other] = max(last.get(other, NEVER), int(_view(words, span).max()))
        return last

    def last_writes(self, unit: Unit, span: Span) -> Indices:
        """int32[blocks]: the last instruction of ``unit`` that wrote into each block of the span."""
        if unit not in self.written:
            return np.full(span.blocks, NEVER, np.int32)
        return _view(self.written[unit], span).max(axis=(1, 2))

    def _note(self, table: dict[Unit, Indices], unit: Unit, span: Span, index: int) -> None:
        if unit not in table:
            table[unit] = np.full(self.words, NEVER, np.int32)
        _view(table[unit], span)[...] = index


def _view(words: Indices, span: Span) -> Indices:
    """The span's words as [blocks, rows, words]."""
    if not 0 <= span.start < span.end <= len(words):
        raise IndexError(f"{span} leaves a memory of {len(words)} words")
    step = words.itemsize
    return np.ndarray((span.blocks, span.rows, span.words), np.int32, words, span.start * step,
                      (span.block_pitch * step, span.row_pitch * step, step))
