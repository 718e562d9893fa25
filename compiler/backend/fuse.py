"""Fusion: clamps, adds and lookup tables become part of the epilogue of the step that computes their operand."""

from collections import Counter
from dataclasses import replace

from arrayloom.compiler.backend.epilogue import Epilogue
from arrayloom.compiler.backend.operations import Average, Constants, Copy, Maximum, Sum
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.program import Stage

POOLS = (Average, Maximum, Sum)


def fuse(network: Network) -> None:
    """Merges each step that copies the result of another step into that step's epilogue, wherever this is exact."""
    Fuser(network).run()


class Fuser:
    """The state of fusion; ``steps`` are the steps so far."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.steps: list[Step] = []
        self.uses = Counter(name for step in network.steps for name in network.reads(step))
        self.uses.update(network.kept())
        self.uses.update(network.parts.keys())

    def run(self) -> None:
        for step in self.network.steps:
            if not (isinstance(step.operation, Copy) and self._absorb(step)):
                self.steps.append(step)
        self.network.steps = self.steps

    def _absorb(self, step: Step) -> bool:
        for candidate in self._views(step):
            place = self._producer(candidate)
            joined = join(self.steps[place], candidate) if place is not None else None
            if joined is not None and place is not None:
                del self.steps[place]
                self.steps.insert(self._earliest(joined, place), joined)
                return True
        return False

    def _views(self, step: Step) -> list[Step]:
        """Returns the step with each operand of its add as the source; first the one that is computed later."""
        residual = step.epilogue.residual
        if residual is None or residual.tensor == step.x:
            return [step]
        other = replace(residual, tensor=step.x, swap=not residual.swap)
        swapped = replace(step, x=residual.tensor, epilogue=replace(step.epilogue, residual=other))
        return sorted([step, swapped], key=lambda view: -self._position(view.x))

    def _position(self, tensor: str) -> int:
        return next((i for i, step in enumerate(self.steps) if step.output == tensor), -1)

    def _producer(self, step: Step) -> int | None:
        """Returns the position of the step that computes the source of ``step``, or None if other steps read it too."""
        place = self._position(step.x)
        return place if place >= 0 and self.uses[step.x] == 1 else None

    def _earliest(self, step: Step, place: int) -> int:
        """Returns the position of the merged step: that of its first part, or the end if its residual is computed later."""
        residual = step.epilogue.residual
        late = residual is not None and self._made_after(residual.tensor, place)
        return len(self.steps) if late else place

    def _made_after(self, tensor: str, place: int) -> bool:
        """Whether the step at ``place`` or a later one computes ``tensor`` or a part of it."""
        names = {tensor}
        for name in list(names):
            names.update(self._members(name))
        return any(step.output in names for step in self.steps[place:])

    def _members(self, name: str) -> set[str]:
        members = set(self.network.concats.get(name, ()))
        return members.union(*(self._members(member) for member in members))


def join(first: Step, second: Step) -> Step | None:
    """Merges ``second``, which copies the result of ``first``, into it; returns None if the order of stages in the POST unit
    does not allow it."""
    before, after = first.epilogue, second.epilogue
    if isinstance(first.operation, Constants):
        return None     # LOAD writes constants; the POST unit does not process them
    if after.residual is not None:
        if isinstance(first.operation, POOLS) or before.residual is not None or before.lookup_table is not None:
            return None
        return _extend(first, second, replace(before, residual=after.residual, lookup_table=after.lookup_table))
    if after.lookup_table is not None:
        return _extend(_without_probes(first, Stage.LOOKUP_TABLE), second, before.looked_up(after.lookup_table))
    if after.clamps:
        return _extend(_without_probes(first, before.stage), second, before.clamped(after.low, after.high))
    return _extend(first, second, before)


def _extend(first: Step, second: Step, epilogue: Epilogue) -> Step:
    """Returns ``first`` with a longer epilogue and the output of ``second``."""
    probes = (replace(probe, stage=epilogue.stage) for probe in second.probes)
    return replace(first, output=second.output, sources=first.sources + second.sources, epilogue=epilogue,
                   probes=(*first.probes, *probes))


def _without_probes(step: Step, stage: Stage) -> Step:
    """Returns the step without probes after ``stage``, whose bytes are about to change."""
    return replace(step, probes=tuple(probe for probe in step.probes if probe.stage is not stage))
