"""Dependencies between instructions of different units, and the tokens that enforce them.

Each unit starts and completes its instructions in program order. For each instruction, a vector clock holds the latest
instruction of every unit that is certain to be complete when it starts. An instruction that waits for another one inherits
its clock, so tokens are needed only for what the clock does not already guarantee. Tokens pair up in order
(``arrayloom.isa.tokens``): between two units, waiting and signalling instructions both have ascending indices.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.area import Span
from arrayloom.isa.fields import Unit
from arrayloom.isa.registers import TOKEN_BITS

NEVER = -1

Indices = NDArray[np.int32]

# Most tokens between two units that are given before they are waited for; the rest of the counter's range is a reserve for
# instructions that already wait in a queue.
MOST_OPEN = (1 << TOKEN_BITS) * 5 // 8

# Producers whose clocks dominate come first: waiting for them often makes the other waits unnecessary.
ORDER = (Unit.POST, Unit.ARRAY, Unit.DEPTHWISE, Unit.ATTENTION, Unit.STORE, Unit.LOAD)

Clock = tuple[int, ...]
NOTHING: Clock = (NEVER,) * len(Unit)


@dataclass
class HazardTracker:
    """For each unit and each word of a memory, the last instruction that wrote it and the last that read it.

    Instructions are identified by their index in the program; ``NEVER`` means none.
    """

    words: int
    written: dict[Unit, Indices] = field(default_factory=dict)
    read: dict[Unit, Indices] = field(default_factory=dict)

    def note_read(self, unit: Unit, span: Span, index: int) -> None:
        self._note(self.read, unit, span, index)

    def note_write(self, unit: Unit, span: Span, index: int) -> None:
        self._note(self.written, unit, span, index)

    def before_read(self, span: Span) -> dict[Unit, int]:
        """Returns the last instruction of each unit that wrote a word of the span."""
        return {unit: _latest(words, span) for unit, words in self.written.items()}

    def before_write(self, unit: Unit, span: Span) -> dict[Unit, int]:
        """Returns the last instruction of each other unit that wrote or read a word of the span.

        ``unit`` itself is left out, since it executes its instructions in order.
        """
        last: dict[Unit, int] = {}
        for history in (self.written, self.read):
            for other, words in history.items():
                if other is not unit:
                    last[other] = max(last.get(other, NEVER), _latest(words, span))
        return last

    def last_writes(self, unit: Unit, span: Span) -> Indices:
        """Returns int32[blocks], the last instruction of ``unit`` that wrote into each block of the span."""
        if unit not in self.written:
            return np.full(span.blocks, NEVER, np.int32)
        return _view(self.written[unit], span).max(axis=(1, 2))

    def _note(self, history: dict[Unit, Indices], unit: Unit, span: Span, index: int) -> None:
        if unit not in history:
            history[unit] = np.full(self.words, NEVER, np.int32)
        _view(history[unit], span)[...] = index


def _latest(words: Indices, span: Span) -> int:
    return int(np.maximum.reduce(_view(words, span), axis=None))


def _view(words: Indices, span: Span) -> Indices:
    """Returns a view of the span's words, [blocks, rows, words]."""
    if not 0 <= span.start < span.end <= len(words):
        raise IndexError(f"{span} leaves a memory of {len(words)} words")
    step = words.itemsize
    return np.ndarray((span.blocks, span.rows, span.words), np.int32, words, span.start * step,
                      (span.block_pitch * step, span.row_pitch * step, step))


@dataclass
class Tokens:
    """The ``wait`` and ``signal`` masks of all instructions so far, by index."""

    wait: list[int] = field(default_factory=list)
    signal: list[int] = field(default_factory=list)
    _clocks: list[Clock] = field(default_factory=list)
    _units: list[Unit | None] = field(default_factory=list)
    _known: dict[Unit, Clock] = field(default_factory=lambda: dict.fromkeys(Unit, NOTHING))
    _latest: dict[Unit, int] = field(default_factory=lambda: dict.fromkeys(Unit, NEVER))
    _waiters: dict[tuple[Unit, Unit], list[int]] = field(default_factory=dict)

    def append(self, unit: Unit | None, needs: dict[Unit, int], after: int = NEVER) -> None:
        """Adds the next instruction of ``unit`` and the tokens that it needs.

        ``needs`` is the latest instruction of each unit that must be complete before it starts. ``after`` is for a Drain:
        the instruction that filled its bank, which is complete because the bank is full. Later instructions of the POST unit
        do not inherit that, since the unit reads their operands ahead.
        """
        index = len(self._clocks)
        self.wait.append(0)
        self.signal.append(0)
        self._units.append(unit)
        if unit is None:
            self._clocks.append(NOTHING)
            return
        clock = self._known[unit]
        if after != NEVER:
            filler = self._units[after]
            assert filler is not None
            clock = _later(clock, self._clocks[after], filler, after)
        for producer in ORDER:
            if needs.get(producer, NEVER) > clock[producer]:
                taken = self._take(index, unit, producer, needs[producer])
                clock = _later(clock, self._clocks[taken], producer, taken)
                self._known[unit] = _later(self._known[unit], self._clocks[taken], producer, taken)
        self._clocks.append(clock)
        self._latest[unit] = index

    def known(self, unit: Unit, producer: Unit) -> int:
        """Returns the latest instruction of ``producer`` that is certain to be complete when the next one of ``unit``
        starts."""
        return self._known[unit][producer]

    def _take(self, index: int, unit: Unit, producer: Unit, needed: int) -> int:
        """Makes instruction ``index`` wait for ``needed`` of ``producer``; returns the instruction it in fact waits for."""
        self.wait[index] |= 1 << producer
        if producer is unit:
            needed = self._latest[unit]
        else:
            waiters = self._waiters.setdefault((unit, producer), [])
            if len(waiters) - bisect_right(waiters, needed) >= MOST_OPEN:
                needed = self._latest[producer]
            waiters.append(index)
            self.signal[needed] |= 1 << unit
        return needed


def _later(clock: Clock, other: Clock, unit: Unit, index: int) -> Clock:
    merged = [max(pair) for pair in zip(clock, other, strict=True)]
    merged[unit] = max(merged[unit], index)
    return tuple(merged)
