"""Every cycle of every unit, attributed to one row of the profile and to one cause.

Rows are the layers that own instructions, and one for instructions without a layer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.analysis.errors import ProfileError
from arrayloom.isa.fields import Instruction
from arrayloom.isa.program import Layer, Program
from arrayloom.isa.registers import Cause
from arrayloom.isa.tokens import NO_GIVER, token_givers
from arrayloom.sim.rtl.timeline import Timeline, Track

Counts = NDArray[np.int64]
CAUSES = 1 + max(Cause)

START_UP, WIND_DOWN, NO_LAYER = "(start-up)", "(wind-down)", "(no layer)"
OUTSIDE = (START_UP, WIND_DOWN, NO_LAYER)


def cause_name(cause: int) -> str:
    return Cause(cause).name.lower()


@dataclass(frozen=True)
class Row:
    """A layer with the layers fused into its instructions; ``layer`` is None for the row without a layer."""

    name: str
    layer: Layer | None = None
    fused: tuple[Layer, ...] = ()

    @property
    def operator(self) -> str | None:
        """ONNX operators; fused ones are joined by ``+``."""
        return "+".join(layer.operator for layer in (self.layer, *self.fused)) if self.layer else None

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in (self.layer, *self.fused)) if self.layer else 0


class Rows:
    """``rows`` of a program in the order of their first instructions, then ``OUTSIDE``.

    An instruction of several layers belongs to the first one with the most multiply-accumulates; a layer without
    instructions of its own is fused with the owner of its first instruction.
    """

    def __init__(self, program: Program) -> None:
        leads = self._leads(program)
        own, first = np.unique(leads, return_index=True)
        order = [int(lead) for _, lead in sorted(zip(first, own, strict=True)) if lead >= 0]
        fused: dict[int, list[Layer]] = {lead: [] for lead in order}
        for index, layer in enumerate(program.layers):
            if index not in fused:
                fused[int(leads[layer.first])].append(layer)
        layers = [Row(program.layers[lead].name, program.layers[lead], tuple(fused[lead])) for lead in order]
        self.rows = (*layers, *(Row(name) for name in OUTSIDE))
        self.count = len(layers)
        self.of_instruction = self._of_instruction(leads, order)

    @staticmethod
    def _leads(program: Program) -> NDArray[np.int64]:
        """For each instruction the index of the layer that owns it, or -1."""
        leads = np.full(len(program), -1)
        for index, layer in sorted(enumerate(program.layers), key=lambda item: (item[1].macs, -item[0])):
            for first, last in layer.runs:
                leads[first:last] = index
        return leads

    def _of_instruction(self, leads: NDArray[np.int64], order: list[int]) -> NDArray[np.int64]:
        """The row of each instruction; the last one ends the program and belongs to the wind-down."""
        rows = {lead: row for row, lead in enumerate(order)} | {-1: self.index(NO_LAYER)}
        result = np.array([rows[int(lead)] for lead in leads], np.int64)
        if result.size and leads[-1] < 0:
            result[-1] = self.index(WIND_DOWN)
        return result

    def index(self, outside: str) -> int:
        return self.count + OUTSIDE.index(outside)

    def of_segments(self, instructions: NDArray[np.int32]) -> NDArray[np.int64]:
        """The row of each segment of a unit's track, given the unit's current instructions (-1: none)."""
        inside = instructions >= 0
        rows = np.full(len(instructions), self.index(WIND_DOWN))
        rows[inside] = self.of_instruction[instructions[inside]]
        rows[:int(inside.argmax()) if inside.any() else len(rows)] = self.index(START_UP)
        return rows


@dataclass(frozen=True)
class Attribution:
    """A unit's cycles.

    ``causes``: int64[rows, CAUSES]; ``producers``: int64[rows, units], the cycles of ``Cause.TOKEN`` by the unit
    whose token came last, in the order of the timeline's tracks; ``spans``: for each row, the first cycle in which the
    unit computes for it and the cycle after the last, or None.
    """

    causes: Counts
    producers: Counts
    spans: tuple[tuple[int, int] | None, ...]


def durations(track: Track, cycles: int) -> Counts:
    """The length of each segment of a track of a run of ``cycles``.

    Raises ``ProfileError`` if they do not cover the run.
    """
    lengths = np.diff(track.starts, append=cycles)
    if not lengths.size or track.starts[0] != 0 or lengths.min() <= 0:
        raise ProfileError(f"the timeline's segments do not cover the run's {cycles} cycles without gap or overlap")
    return lengths


def attribute(timeline: Timeline, rows: Rows, instructions: list[Instruction]) -> dict[str, Attribution]:
    """The attribution of each unit; each sums to the run's cycles."""
    producers = binding_producers(timeline, instructions)
    return {unit: _attribute(unit, timeline, rows, producers) for unit in timeline.tracks}


def binding_producers(timeline: Timeline, instructions: list[Instruction]) -> NDArray[np.int64]:
    """int64[n]: for each instruction, the unit whose token came last, as an index into the timeline's tracks; -1 if none."""
    units = list(timeline.tracks)
    result = np.full(len(instructions), -1)
    latest = np.full(len(instructions), -1)
    for producer, givers in token_givers(instructions).items():
        if producer.name not in timeline.tracks:    # a unit that the accelerator lacks gives no tokens
            continue
        waiting = np.flatnonzero(givers != NO_GIVER)
        ends = end_cycles(timeline.tracks[producer.name], givers[waiting], timeline.cycles)
        later = ends > latest[waiting]
        result[waiting[later]] = units.index(producer.name)
        latest[waiting[later]] = ends[later]
    return result


def end_cycles(track: Track, instructions: NDArray[np.int64], cycles: int) -> NDArray[np.int64]:
    """For each of ``instructions``, the cycle in which the unit has moved on to a later one."""
    at = track.instructions.astype(np.int64)
    seen = np.maximum.accumulate(at)
    seen[(at < 0) & (seen >= 0)] = np.iinfo(np.int64).max     # end of its last instruction
    after = np.searchsorted(seen, instructions, side="right")
    return np.append(track.starts, cycles)[after]


def _attribute(unit: str, timeline: Timeline, rows: Rows, producers: NDArray[np.int64]) -> Attribution:
    track, count, units = timeline.tracks[unit], len(rows.rows), len(timeline.tracks)
    lengths, owners = durations(track, timeline.cycles), rows.of_segments(track.instructions)
    causes = _sum(owners, track.causes.astype(np.int64), lengths, (count, CAUSES))
    waits = (track.causes == Cause.TOKEN) & (track.instructions >= 0)
    producer = producers[track.instructions[waits]]
    known = producer >= 0
    waited = _sum(owners[waits][known], producer[known], lengths[waits][known], (count, units))
    return Attribution(causes, waited, _spans(track, owners, lengths, count))


def _sum(rows: Counts, columns: Counts, lengths: Counts, shape: tuple[int, int]) -> Counts:
    result = np.zeros(shape, np.int64)
    np.add.at(result, (rows, columns), lengths)
    return result


def _spans(track: Track, owners: Counts, lengths: Counts, count: int) -> tuple[tuple[int, int] | None, ...]:
    computing = track.causes == Cause.COMPUTING
    begins, ends = track.starts[computing], (track.starts + lengths)[computing]
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, owners[computing], begins)
    np.maximum.at(last, owners[computing], ends)
    return tuple((int(a), int(b)) if b else None for a, b in zip(first, last, strict=True))


def check_counters(attributions: dict[str, Attribution], counters: dict[str, dict[str, int]]) -> None:
    """Raises ``ProfileError`` unless timeline and counter register agree for each unit and cause."""
    if set(counters) != set(attributions):
        raise ProfileError(f"counters of {', '.join(counters)}, timeline of {', '.join(attributions)}")
    for unit, attribution in attributions.items():
        for cause in Cause:
            seen, counted = int(attribution.causes[:, cause].sum()), counters[unit][cause.name]
            if seen != counted:
                raise ProfileError(f"{unit}: {seen:,} cycles of {cause_name(cause)} in the timeline, {counted:,} in the "
                                   "counter register; please report this with the model and the configuration")
