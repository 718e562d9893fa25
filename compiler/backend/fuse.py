"""Fusion: clamps, adds and tables join the step that makes their operand."""

from collections import Counter
from dataclasses import replace

from arrayloom.compiler.backend.steps import (
    HIGH,
    LOW,
    Average,
    Copy,
    Maximum,
    Network,
    Residual,
    Step,
    Sum,
    Table,
    Trace,
)
from arrayloom.compiler.backend.tables import clamp_table, compose
from arrayloom.isa.program import Stage

POOLS = (Average, Maximum, Sum)


def fuse(network: Network) -> None:
    """Replaces, wherever it is exact, a step that copies the result of another by a longer tail of that other."""
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
        if step.residual is None or step.residual.tensor == step.x:
            return [step]
        other = replace(step.residual, tensor=step.x, swap=not step.residual.swap)
        swapped = replace(step, x=step.residual.tensor, residual=other)
        return sorted([step, swapped], key=lambda view: -self._position(view.x))

    def _position(self, tensor: str) -> int:
        return next((i for i, step in enumerate(self.steps) if step.output == tensor), -1)

    def _producer(self, step: Step) -> int | None:
        """The step that makes what ``step`` reads, when nothing else reads it."""
        place = self._position(step.x)
        return place if place >= 0 and self.uses[step.x] == 1 else None

    def _earliest(self, step: Step, place: int) -> int:
        """Where the joined step goes: where its first half stood, or at the end when its residual is made later."""
        late = step.residual is not None and self._made_after(step.residual.tensor, place)
        return len(self.steps) if late else place

    def _made_after(self, tensor: str, place: int) -> bool:
        """Whether a part of ``tensor`` is made at or behind ``place``."""
        names = {tensor}
        for name in list(names):
            names.update(self._members(name))
        return any(step.output in names for step in self.steps[place:])

    def _members(self, name: str) -> set[str]:
        members = set(self.network.concats.get(name, ()))
        return members.union(*(self._members(member) for member in members))


def join(first: Step, second: Step) -> Step | None:
    """One step for ``first`` and the copying ``second`` behind it; None when the POST unit's order forbids it."""
    if second.residual is not None:
        return _join_add(first, second.residual, second)
    if second.table is not None:
        table = second.table if first.table is None else compose(first.table, second.table)
        return _extend(_untraced(first, Stage.TABLE), second, table=table)
    if (second.low, second.high) == (LOW, HIGH):
        return _extend(first, second)
    return _join_clamp(first, second)


def _join_add(first: Step, residual: Residual, second: Step) -> Step | None:
    if isinstance(first.operation, POOLS) or first.residual is not None or first.table is not None:
        return None
    return _extend(first, second, residual=residual)


def _join_clamp(first: Step, second: Step) -> Step:
    low, high = second.low, second.high
    stage = first.final_stage
    open_ended = _untraced(first, stage)
    if first.table is not None:
        return _extend(open_ended, second, table=compose(first.table, clamp_table(low, high)))
    if first.residual is not None:
        inner = first.residual
        bounds = replace(inner, low=max(low, min(inner.low, high)), high=min(high, max(inner.high, low)))
        return _extend(open_ended, second, residual=bounds)
    return _extend(open_ended, second, low=max(low, min(first.low, high)), high=min(high, max(first.high, low)))


def _extend(first: Step, second: Step, *, low: int | None = None, high: int | None = None,
            residual: Residual | None = None, table: Table | None = None) -> Step:
    """``first`` with a longer tail, as the maker of what ``second`` made."""
    joined = replace(
        first, output=second.output, sources=first.sources + second.sources,
        low=first.low if low is None else low, high=first.high if high is None else high,
        residual=residual or first.residual, table=first.table if table is None else table)
    stage = joined.final_stage
    return replace(joined, traces=(*joined.traces, *(Trace(trace.tensor, stage) for trace in second.traces)))


def _untraced(step: Step, stage: Stage) -> Step:
    """Without the tensors that can no longer be seen once ``stage`` does more than before."""
    return replace(step, traces=tuple(trace for trace in step.traces if trace.stage is not stage))
