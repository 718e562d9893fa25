"""The program being written: instructions in order, with their dependencies resolved as they come."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.hazards import NEVER, HazardTracker, Indices
from arrayloom.compiler.backend.tokens import Tokens
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.program import Stage

IN_FLIGHT = 4   # POST instructions that may still run when the array is done with its part of them


class Section(Enum):
    """What an address of memory counts from."""

    CONSTANTS = "constants"
    DATA = "data"


@dataclass(frozen=True)
class Address:
    """A byte of memory before the memory map is known."""

    section: Section
    offset: int


@dataclass(frozen=True)
class Mark:
    """What a POST instruction shows of a tensor (``arrayloom.isa.program.Probe`` without the index)."""

    tensor: str
    stage: Stage
    block: int
    y: int
    x: int


@dataclass
class Item:
    """An instruction before its masks and addresses are final; ``step`` is the index of the step it belongs to."""

    kind: type[Instruction]
    fields: dict[str, Any]
    step: int
    marks: tuple[Mark, ...] = ()
    wait: int = 0
    signal: int = 0


@dataclass(frozen=True)
class Effects:
    """What an instruction touches, on chip and in the data section of memory (in words)."""

    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    memory_reads: tuple[Span, ...] = ()
    memory_writes: tuple[Span, ...] = ()


@dataclass
class Stream:
    """Instructions in an order in which they may be executed one by one."""

    chip: HazardTracker
    memory: HazardTracker
    items: list[Item] = field(default_factory=list)
    step: int = 0
    _tokens: Tokens = field(default_factory=Tokens)
    _recent: deque[int] = field(default_factory=lambda: deque([NEVER] * IN_FLIGHT, IN_FLIGHT))

    def add(self, kind: type[Instruction], fields: dict[str, Any], effects: Effects | None = None, after: int = NEVER,
            marks: Iterable[Mark] = ()) -> int:
        """Appends an instruction and returns its index; ``after``: see ``Tokens.append``."""
        effects = effects or Effects()
        index = len(self.items)
        unit = kind.UNIT
        self._tokens.append(unit, self._needs(unit, effects) if unit is not None else {}, after)
        if unit is not None:
            self._note(unit, effects, index)
        if unit is Unit.POST:
            self._recent.append(index)
        self.items.append(Item(kind, fields, self.step, tuple(marks)))
        return index

    def in_flight(self, span: Span) -> Indices:
        """int32[blocks]: for each block of a span, the POST instruction that last wrote it; ``NEVER`` where that will
        be complete, or is known to be, when the array comes to the next instruction."""
        last = self.chip.last_writes(Unit.POST, span)
        settled = max(self._tokens.known(Unit.ARRAY, Unit.POST), self._recent[0] - 1)
        last[last <= settled] = NEVER
        return last

    def finish(self) -> list[Item]:
        """All instructions with their token masks."""
        for item, wait, signal in zip(self.items, self._tokens.wait, self._tokens.signal, strict=True):
            item.wait, item.signal = wait, signal
        return self.items

    def _needs(self, unit: Unit, effects: Effects) -> dict[Unit, int]:
        found = [self.chip.before_read(span) for span in effects.reads]
        found += [self.chip.before_write(unit, span) for span in effects.writes]
        found += [self.memory.before_read(span) for span in effects.memory_reads]
        found += [self.memory.before_write(unit, span) for span in effects.memory_writes]
        needs: dict[Unit, int] = {}
        for last in found:
            for other, index in last.items():
                needs[other] = max(needs.get(other, NEVER), index)
        return needs

    def _note(self, unit: Unit, effects: Effects, index: int) -> None:
        for span in effects.reads:
            self.chip.note_read(unit, span, index)
        for span in effects.writes:
            self.chip.note_write(unit, span, index)
        for span in effects.memory_reads:
            self.memory.note_read(unit, span, index)
        for span in effects.memory_writes:
            self.memory.note_write(unit, span, index)
