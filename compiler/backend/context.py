"""What lowering works with: configuration, network, memory, and the program being written."""

from dataclasses import dataclass, field, replace

from arrayloom.compiler.backend.area import Area, Scattered, Span
from arrayloom.compiler.backend.image import Constants
from arrayloom.compiler.backend.layouts import allocation_root, member_of
from arrayloom.compiler.backend.placement import Placement
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.backend.stream import Address, Effects, Mark, Section, Stream
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import LoadActivations, Store
from arrayloom.isa.program import Stage


@dataclass(frozen=True)
class Operands:
    """Where a step's tensors lie on chip, wholly or in part."""

    x: Area
    y: Area
    residual: Area | None


@dataclass
class LoweringContext:
    """Everything that the lowering of one program shares."""

    config: Config
    network: Network
    placement: Placement
    constants: Constants
    stream: Stream
    _loaded: dict[str, int] = field(default_factory=dict)   # rows of each input that are on chip

    def area(self, name: str) -> Area:
        """The whole of a tensor that has its place on chip."""
        if name in self.network.gathers:
            return self._scattered(name)
        root, block = allocation_root(self.network, name)
        layout = self.network.layouts[name]
        base = self.placement.chip[root] + block * layout.plane
        return Area(base, layout.columns, layout.height, layout.blocks)

    def _scattered(self, name: str) -> Area:
        """The members of a tensor that is not stored as such, each where it lies; those in memory are left out."""
        areas: list[Area] = []
        first = 0
        for member in self.network.members(name):
            if allocation_root(self.network, member)[0] in self.placement.chip:
                areas.append(replace(self.area(member), block=first))
            first += self.network.layouts[member].blocks
        layout = self.network.layouts[name]
        return Scattered(0, layout.columns, layout.height, layout.blocks, areas=tuple(areas))

    def operands(self, step: Step) -> Operands:
        """All of a step's tensors, which must have their place on chip."""
        residual = self.area(step.residual.tensor) if step.residual else None
        return Operands(self.area(step.x), self.area(step.output), residual)

    def marks(self, step: Step, block: int, y: int, x: int) -> list[Mark]:
        """What the POST instruction at a place of the step's output shows."""
        marks = [Mark(trace.tensor, trace.stage, block, y, x) for trace in step.traces]
        return marks + [Mark(name, stage, block + first, y, x) for name, first, stage in self._enclosing(step)]

    def _enclosing(self, step: Step) -> list[tuple[str, int, Stage]]:
        """The concatenations that the step's output is a part of, and where it begins in them."""
        found, name = [], step.output
        chain = [name]
        while name in self.network.parts:
            name = self.network.parts[name][0]
            chain.append(name)
        origin = allocation_root(self.network, step.output)[1]
        for outer in chain[1:]:
            found.append((outer, origin - allocation_root(self.network, outer)[1], step.final_stage))
        return found

    def fetch(self, name: str, rows: int) -> None:
        """Sees to it that the first ``rows`` rows of an input with a place on chip are there; others always are."""
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
        fields = self._transfer(span, memory) | {"destination": span.start}
        self.stream.add(LoadActivations, fields, Effects(writes=(span,), memory_reads=(memory,)))

    def store(self, name: str, area: Area, block: int, blocks: int, first: int, last: int) -> None:
        """Copies rows [first, last) of some blocks of a tensor from ``area`` to memory."""
        span, memory = area.span(block, blocks, first, last), self.memory_span(name, block, blocks, first, last)
        fields = self._transfer(span, memory) | {"source": span.start}
        self.stream.add(Store, fields, Effects(reads=(span,), memory_writes=(memory,)))

    def memory_span(self, name: str, block: int, blocks: int, first: int, last: int) -> Span:
        """Words of the data section that hold rows of a tensor."""
        layout = self.network.layouts[name]
        member, start_block = member_of(self.network, name, block)
        base = self.placement.memory_word(self.network, member) + (block - start_block) * layout.plane
        start = base + first * layout.columns
        return Span(start, (last - first) * layout.columns, blocks=blocks, block_pitch=layout.plane)

    def _transfer(self, chip: Span, memory: Span) -> dict[str, int | Address]:
        address = Address(Section.DATA, memory.start * self.config.size)
        if chip.block_pitch == memory.block_pitch == chip.words:
            return {"address": address, "words": chip.words * chip.blocks, "rows": 1}
        return {"address": address, "words": chip.words, "rows": chip.blocks, "memory_pitch": memory.block_pitch,
                "chip_pitch": chip.block_pitch}
