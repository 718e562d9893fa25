"""The program being written: drafts of instructions in order, with their dependencies resolved as they come."""

from collections import deque
from dataclasses import dataclass, field

from arrayloom.compiler.backend.area import Span
from arrayloom.compiler.backend.dependencies import NEVER, HazardTracker, Indices, Tokens
from arrayloom.compiler.backend.image import Section
from arrayloom.isa.config import PARAMETER_BYTES, Config
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import FeedWeights, LoadParameters, LoadWeights, PostInstruction
from arrayloom.isa.program import Probe

IN_FLIGHT = 4   # POST instructions that may still run when the array is done with its part of them


@dataclass(frozen=True)
class Draft:
    """An instruction without its tokens, for the step of that index.

    ``section``: what its address is an offset in, None for an instruction that names no address in memory.
    """

    instruction: Instruction
    step: int
    section: Section | None = None
    probes: tuple[Probe, ...] = ()

    def with_instruction(self, instruction: Instruction) -> "Draft":
        """The draft with another instruction."""
        return Draft(instruction, self.step, self.section, self.probes)


@dataclass(frozen=True)
class Effects:
    """What an instruction touches, on chip and in the data section of memory (in words)."""

    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    memory_reads: tuple[Span, ...] = ()
    memory_writes: tuple[Span, ...] = ()


@dataclass
class Stream:
    """Drafts in an order in which their instructions may be executed one by one."""

    chip: HazardTracker
    memory: HazardTracker
    drafts: list[Draft] = field(default_factory=list)
    _tokens: Tokens = field(default_factory=Tokens)
    _feeders: dict[Unit, int] = field(default_factory=dict)     # the last instruction of each that feeds the weight FIFO
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
        """Has the POST instruction at ``index``, the last that uses a lookup table, drop it."""
        draft = self.drafts[index]
        assert isinstance(draft.instruction, PostInstruction), draft
        self.drafts[index] = draft.with_instruction(draft.instruction.changed(release_lookup_table=1))

    def in_flight(self, span: Span) -> Indices:
        """int32[blocks]: for each block of a span, the POST instruction that last wrote it; ``NEVER`` where that will
        be complete, or is known to be, when the array comes to the next instruction."""
        last = self.chip.last_writes(Unit.POST, span)
        settled = max(self._tokens.known(Unit.ARRAY, Unit.POST), self._recent[0] - 1)
        last[last <= settled] = NEVER
        return last

    def finish(self) -> list[Draft]:
        """All drafts, their instructions with wait and signal masks."""
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
    """Joins loads of weights, and of parameters, that follow each other in their FIFO and in memory: fewer instructions
    to fetch, longer bursts.

    A joined load stays within a part of its FIFO, so that it can complete before anything after it has run.
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
            latest.pop(LoadWeights, None)   # which must not overtake it
        if kind in (LoadWeights, LoadParameters):
            latest[kind] = len(kept)
        kept.append(draft)
    return kept


def _join(first: Draft, second: Draft, config: Config) -> Draft | None:
    """One load for two of the same kind; None where the second does not continue the first, where the FIFO would hold
    too little, or where another instruction waits for the second."""
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
