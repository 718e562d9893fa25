"""The context of lowering: configuration, network, placement, and the program being written."""

from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from arrayloom.compiler.backend.area import Area, Scattered, Span
from arrayloom.compiler.backend.dependencies import NEVER
from arrayloom.compiler.backend.image import Constants, Section
from arrayloom.compiler.backend.layouts import allocation_root, member_of
from arrayloom.compiler.backend.placement import Placement
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.backend.stream import Draft, Effects, Stream
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import LoadActivations, Store
from arrayloom.isa.program import Probe


@dataclass(frozen=True)
class Operands:
    """The areas of a step's tensors, or of the parts of them that are on chip."""

    x: Area
    y: Area
    residual: Area | None


class TableUser(Protocol):
    """A user of a page in the lookup table FIFO."""

    def release(self) -> None:
        """Marks the last instruction that uses the page, which drops it."""


@dataclass(frozen=True)
class LoweringContext:
    """The context of lowering one step, whose index is ``index``; all steps of a program share the rest."""

    config: Config
    network: Network
    placement: Placement
    constants: Constants
    stream: Stream
    index: int = 0
    table_users: list["TableUser"] = field(default_factory=list)    # the user of the page at the head of the FIFO, if any
    _loaded: dict[str, int] = field(default_factory=dict)   # loaded rows of each input

    def of(self, index: int) -> Self:
        """Returns the context of another step of the same program."""
        return replace(self, index=index)

    @property
    def step(self) -> Step:
        return self.network.steps[self.index]

    def add(self, instruction: Instruction, effects: Effects | None = None, *, section: Section | None = None,
            after: int = NEVER, probes: tuple[Probe, ...] = ()) -> int:
        """Appends an instruction of this step to the program; see ``Draft`` for ``section`` and ``probes``, ``Stream.add``
        for ``after`` and the result."""
        return self.stream.add(Draft(instruction, self.index, section, probes), effects, after)

    def area(self, name: str) -> Area:
        """Returns the area of a whole tensor; it must have a place on chip."""
        if name in self.network.virtual_concats:
            return self._scattered(name)
        root, block = allocation_root(self.network, name)
        layout = self.network.layouts[name]
        base = self.placement.chip[root] + block * layout.plane
        return Area(base, layout.columns, layout.rows, layout.blocks)

    def _scattered(self, name: str) -> Area:
        """Returns the areas of the members of a virtual concatenation, without those in memory."""
        areas: list[Area] = []
        first = 0
        members = self.network.members(name)
        for member, scale in zip(members, self.network.scales.get(name, ((1, 1),) * len(members)), strict=True):
            if allocation_root(self.network, member)[0] in self.placement.chip:
                areas.append(replace(self.area(member), block=first, scale=scale))
            first += self.network.layouts[member].blocks
        layout = self.network.layouts[name]
        return Scattered(0, layout.columns, layout.rows, layout.blocks, areas=tuple(areas))

    def operands(self) -> Operands:
        """Returns the areas of the step's tensors, all of which must have a place on chip."""
        residual = self.step.epilogue.residual
        return Operands(self.area(self.step.x), self.area(self.step.output),
                        self.area(residual.tensor) if residual else None)

    def probes(self, block: int, y: int, x: int) -> tuple[Probe, ...]:
        """Returns the probes of the POST instruction that writes block, row and column (block, y, x) of the step's output:
        those of the step, and of the concatenations that contain its output."""
        probes = (*self.step.probes, *self._enclosing())
        return tuple(probe.moved(block, y, x) for probe in probes)

    def _enclosing(self) -> list[Probe]:
        """Returns a probe for each concatenation that contains the step's output, at the block where the output begins."""
        found, name = [], self.step.output
        origin = allocation_root(self.network, name)[1]
        while name in self.network.parts:
            name = self.network.parts[name][0]
            block = origin - allocation_root(self.network, name)[1]
            found.append(Probe(name, self.step.epilogue.stage, block))
        return found

    def fetch(self, name: str, rows: int) -> None:
        """Loads the first ``rows`` rows of a network input if it has a place on chip and they are not yet loaded."""
        for member in self.network.members(name):
            self._fetch(self.network.root(member), rows)

    def _fetch(self, root: str, rows: int) -> None:
        if root not in self.placement.inputs or root not in self.placement.chip:
            return
        done = self._loaded.get(root, 0)
        if rows > done:
            self.load(root, self.area(root), 0, self.area(root).blocks, done, rows)
            self._loaded[root] = rows

    def load(self, name: str, area: Area, block: int, blocks: int, first: int, last: int) -> None:
        """Copies rows [first, last) of some blocks of a tensor from memory to ``area``."""
        span, memory = area.span(block, blocks, first, last), self.memory_span(name, block, blocks, first, last)
        runs = _Runs.of(span, memory)
        load = LoadActivations(
            address=memory.start * self.config.size, destination=span.start, words=runs.words, rows=runs.rows,
            memory_pitch=runs.memory_pitch, chip_pitch=runs.chip_pitch)
        self.add(load, Effects(writes=(span,), memory_reads=(memory,)), section=Section.DATA)

    def store(self, name: str, area: Area, block: int, blocks: int, first: int, last: int) -> None:
        """Copies rows [first, last) of some blocks of a tensor from ``area`` to memory."""
        span, memory = area.span(block, blocks, first, last), self.memory_span(name, block, blocks, first, last)
        runs = _Runs.of(span, memory)
        store = Store(
            address=memory.start * self.config.size, source=span.start, words=runs.words, rows=runs.rows,
            memory_pitch=runs.memory_pitch, chip_pitch=runs.chip_pitch)
        self.add(store, Effects(reads=(span,), memory_writes=(memory,)), section=Section.DATA)

    def memory_span(self, name: str, block: int, blocks: int, first: int, last: int) -> Span:
        """Returns the words of the data section that hold rows [first, last) of some blocks of a tensor."""
        layout = self.network.layouts[name]
        member, start_block = member_of(self.network, name, block)
        base = self.placement.memory_word(self.network, member) + (block - start_block) * layout.plane
        start = base + first * layout.columns
        return Span(start, (last - first) * layout.columns, blocks=blocks, block_pitch=layout.plane)


@dataclass(frozen=True)
class _Runs:
    """The runs of a transfer between memory and the scratchpad, in the form of the instruction's fields."""

    words: int
    rows: int
    memory_pitch: int = 0
    chip_pitch: int = 0

    @classmethod
    def of(cls, chip: Span, memory: Span) -> Self:
        """Returns one run for each block, or one for all if there are no gaps between blocks on either side."""
        if chip.block_pitch == memory.block_pitch == chip.words:
            return cls(chip.words * chip.blocks, 1)
        return cls(chip.words, chip.blocks, memory.block_pitch, chip.block_pitch)
