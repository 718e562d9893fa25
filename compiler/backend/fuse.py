"""Fusion: clamps, adds and lookup tables join the epilogue of the step that makes their operand."""

from collections import Counter
from dataclasses import replace

from arrayloom.compiler.backend.epilogue import Epilogue
from arrayloom.compiler.backend.operations import Average, Constants, Copy, Maximum, Sum
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.program import Stage

POOLS = (Average, Maximum, Sum)


def fuse(network: Network) -> None:
    """Replaces, wherever it is exact, a step that copies the result of another by a longer epilogue of that other."""
    Fuser(network).run()


class Fuser:
    """``steps`` so far, and where each tensor among them is made."""

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
        """The step with either operand of its add as the source, the one made later first."""
        residual = step.epilogue.residual
        if residual is None or residual.tensor == step.x:
            return [step]
        other = replace(residual, tensor=step.x, swap=not residual.swap)
        swapped = replace(step, x=residual.tensor, epilogue=replace(step.epilogue, residual=other))
        return sorted([step, swapped], key=lambda view: -self._position(view.x))

    def _position(self, tensor: str) -> int:
        return next((i for i, step in enumerate(self.steps) if step.output == tensor), -1)

    def _producer(self, step: Step) -> int | None:
        """The step that makes what ``step`` reads, when nothing else reads it."""
        place = self._position(step.x)
        return place if place >= 0 and self.uses[step.x] == 1 else None

    def _earliest(self, step: Step, place: int) -> int:
        """Where the joined step goes: where its first part stood, or at the end when its residual is made later."""
        residual = step.epilogue.residual
        late = residual is not None and self._made_after(residual.tensor, place)
        return len(self.steps) if late else place

    def _made_after(self, tensor: str, place: int) -> bool:
        """Whether a part of ``tensor`` is made at ``place`` or later."""
        names = {tensor}
        for name in list(names):
            names.update(self._members(name))
        return any(step.output in names for step in self.steps[place:])

    def _members(self, name: str) -> set[str]:
        members = set(self.network.concats.get(name, ()))
        return members.union(*(self._members(member) for member in members))


def join(first: Step, second: Step) -> Step | None:
    """One step for ``first`` and ``second``, which copies its result; None when the POST unit's order forbids it."""
    before, after = first.epilogue, second.epilogue
    if isinstance(first.operation, Constants):
        return None     # which the POST unit never sees
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
    """``first`` with a longer epilogue, as the maker of what ``second`` made."""
    probes = (replace(probe, stage=epilogue.stage) for probe in second.probes)
    return replace(first, output=second.output, sources=first.sources + second.sources, epilogue=epilogue,
                   probes=(*first.probes, *probes))


def _without_probes(step: Step, stage: Stage) -> Step:
    """Without the tensors that can no longer be seen once ``stage`` does more than before."""
    return replace(step, probes=tuple(probe for probe in step.probes if probe.stage is not stage))
