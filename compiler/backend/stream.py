"""The program that is being written: drafts of instructions in order, whose dependencies are resolved as they are added."""

from collections import deque
from dataclasses import dataclass, field

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.dependencies import NEVER, HazardTracker, Indices, Tokens
from arrayloom.compiler.backend.image import Section
from arrayloom.isa.config import PARAMETER_BYTES, Config
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import FeedWeights, LoadParameters, LoadWeights, PostInstruction
from arrayloom.isa.program import Probe

IN_FLIGHT = 4   # recent POST instructions that may still be running when the array starts its next instruction


@dataclass(frozen=True)
class Draft:
    """An instruction without its tokens, and the index of its step.

    ``section`` is the section that its address is relative to, or None for an instruction without a memory address.
    """

    instruction: Instruction
    step: int
    section: Section | None = None
    probes: tuple[Probe, ...] = ()

    def with_instruction(self, instruction: Instruction) -> "Draft":
        """Returns the draft with another instruction."""
        return Draft(instruction, self.step, self.section, self.probes)


@dataclass(frozen=True)
class Effects:
    """The words that an instruction reads and writes, on chip and in the data section of memory."""

    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    memory_reads: tuple[Span, ...] = ()
    memory_writes: tuple[Span, ...] = ()


@dataclass
class Stream:
    """Drafts in program order: an order in which the instructions can be executed one by one."""

    chip: HazardTracker
    memory: HazardTracker
    drafts: list[Draft] = field(default_factory=list)
    _tokens: Tokens = field(default_factory=Tokens)
    _feeders: dict[Unit, int] = field(default_factory=dict)     # each unit's last instruction that fills the weight FIFO
    _recent: deque[int] = field(default_factory=lambda: deque([NEVER] * IN_FLIGHT, IN_FLIGHT))

    def add(self, draft: Draft, effects: Effects | None = None, after: int = NEVER) -> int:
        """Appends an instruction and returns its index; ``after``: see ``Tokens.append``."""
        effects = effects or Effects()
        index = len(self.drafts)
        unit = draft.instruction.UNIT
        needs = self._needs(unit, effects) if unit is not None else {}
        if unit is not None and isinstance(draft.instruction, LoadWeights | FeedWeights):
            for other in self._feeders.keys() - {unit}:
                needs[other] = max(needs.get(other, NEVER), self._feeders[other])
            self._feeders[unit] = index
        self._tokens.append(unit, needs, after)
        if unit is not None:
            self._note(unit, effects, index)
        if unit is Unit.POST:
            self._recent.append(index)
        self.drafts.append(draft)
        return index

    def release_lookup_table(self, index: int) -> None:
        """Changes the POST instruction at ``index``, the last that uses a lookup table, so that it drops the table."""
        draft = self.drafts[index]
        assert isinstance(draft.instruction, PostInstruction), draft
        self.drafts[index] = draft.with_instruction(draft.instruction.changed(release_lookup_table=1))

    def in_flight(self, span: Span) -> Indices:
        """Returns int32[blocks]: for each block of a span, the POST instruction that last wrote it.

        It is ``NEVER`` if that instruction is known to be complete, or is expected to be, when the array starts its next
        instruction.
        """
        last = self.chip.last_writes(Unit.POST, span)
        settled = max(self._tokens.known(Unit.ARRAY, Unit.POST), self._recent[0] - 1)
        last[last <= settled] = NEVER
        return last

    def finish(self) -> list[Draft]:
        """Returns all drafts, with the wait and signal masks in their instructions."""
        masks = zip(self.drafts, self._tokens.wait, self._tokens.signal, strict=True)
        return [draft.with_instruction(draft.instruction.changed(wait=wait, signal=signal)) if wait or signal else draft
                for draft, wait, signal in masks]

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


def coalesce(drafts: list[Draft], config: Config) -> list[Draft]:
    """Merges loads of weights, and of parameters, that are consecutive in their FIFO and in memory.

    This saves instructions and makes bursts longer. A merged load fills only a part of its FIFO, so that it can complete
    before any later instruction runs.
    """
    kept: list[Draft] = []
    latest: dict[type[Instruction], int] = {}
    for draft in drafts:
        kind = type(draft.instruction)
        if kind in latest:
            joined = _join(kept[latest[kind]], draft, config)
            if joined is not None:
                kept[latest[kind]] = joined
                continue
        if kind is FeedWeights:
            latest.pop(LoadWeights, None)   # a later LoadWeights must not be moved before this instruction
        if kind in (LoadWeights, LoadParameters):
            latest[kind] = len(kept)
        kept.append(draft)
    return kept


def _join(first: Draft, second: Draft, config: Config) -> Draft | None:
    """Merges two loads of the same kind; returns None if the second does not continue the first, if the FIFO is too small,
    or if the second has tokens."""
    one, two = first.instruction, second.instruction
    if two.wait or two.signal or first.section is not second.section:
        return None
    if isinstance(one, LoadWeights) and isinstance(two, LoadWeights):
        words = one.words + two.words
        if two.address == one.address + one.words * config.size and words <= config.weight_words // 2:
            return first.with_instruction(one.changed(words=words))
    if isinstance(one, LoadParameters) and isinstance(two, LoadParameters):
        entries = one.entries + two.entries
        end = one.address + one.entries * PARAMETER_BYTES * config.lanes
        if two.address == end and entries <= config.parameter_entries // 4:
            return first.with_instruction(one.changed(entries=entries))
    return None
