"""The profile of a run: cost and figures of each layer, and the measurement on the RTL."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from arrayloom.host.analysis.errors import ProfileError
from arrayloom.host.analysis.profile.attribution import Attribution, Row, Rows, attribute, cause_name, check_counters
from arrayloom.host.analysis.profile.roofline import Memory, Roofline, Traffic, measured, traffic_of
from arrayloom.host.runtime.report import Progress, RunReport
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline

Cycles = dict[str, dict[str, int]]
ARRAY = Unit.ARRAY.name
UNITS = ("FETCH", *(unit.name for unit in Unit))    # in the order in which they are shown
PARTIAL = "partial"     # the array computes, but not with every multiplier


@dataclass(frozen=True)
class LayerProfile:
    """The cost of a layer.

    ``units``: cycles by unit and cause; ``token_waits``: cycles of ``token`` by unit and the unit that gave the token.
    ``span``: the first cycle in which the array computes for the layer and the cycle after the last, or None.
    """

    row: Row
    units: Cycles
    token_waits: Cycles
    span: tuple[int, int] | None
    traffic: Traffic
    roofline: Roofline

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def macs(self) -> int:
        return self.row.macs

    @property
    def ideal_cycles(self) -> float:
        """Cycles needed if every multiplier worked."""
        return self.macs / self.roofline.multipliers

    @property
    def array_cycles(self) -> int:
        """All cycles in which the array works for the layer or waits for what the layer needs."""
        return sum(self.units[ARRAY].values())

    @property
    def utilization(self) -> float | None:
        return self.ideal_cycles / self.array_cycles if self.array_cycles else None

    @property
    def lost(self) -> dict[str, float]:
        """The array's cycles beyond the ideal, by cause, in descending order; they sum to ``array_cycles - ideal_cycles``.

        ``partial``: computing with part of the multipliers; a wait for a token names the unit that gave it.
        """
        return lost_cycles(self.units[ARRAY], self.token_waits[ARRAY], self.ideal_cycles)

    @property
    def intensity(self) -> float | None:
        return self.roofline.of_traffic(self.macs, self.traffic)

    @property
    def macs_per_cycle(self) -> float | None:
        return self.macs / self.array_cycles if self.array_cycles else None

    def figures(self) -> dict[str, Any]:
        """The layer under the names of ``--json``."""
        span = self.span and {"first": self.span[0], "last": self.span[1] - 1, "cycles": self.span[1] - self.span[0]}
        return {
            "name": self.name, "operator": self.row.operator, "fused": [layer.name for layer in self.row.fused],
            "macs": self.macs, "ideal_cycles": self.ideal_cycles, "array_cycles": self.array_cycles, "span": span,
            "utilization": self.utilization, "units": self.units, "token_waits": self.token_waits, "lost": self.lost,
            "bytes": self.traffic.by_kind(), "bytes_read": self.traffic.read, "bytes_written": self.traffic.written,
            "intensity": self.intensity, "macs_per_cycle": self.macs_per_cycle,
            "bound": self.roofline.bound(self.intensity),
        }


def lost_cycles(causes: dict[str, int], token_waits: dict[str, int], ideal: float) -> dict[str, float]:
    """Cycles of the array beyond ``ideal`` by cause, in descending order."""
    computing, token = cause_name(Cause.COMPUTING), cause_name(Cause.TOKEN)
    lost: dict[str, float] = {PARTIAL: causes[computing] - ideal}
    lost |= {name: cycles for name, cycles in causes.items() if name not in (computing, token)}
    lost |= {f"token of {unit}": cycles for unit, cycles in token_waits.items()}
    lost[token] = causes[token] - sum(token_waits.values())
    return dict(sorted(((name, cycles) for name, cycles in lost.items() if cycles), key=lambda item: -item[1]))


@dataclass(frozen=True)
class Profile:
    """One run of ``program``, called ``title``.

    ``layers``: the program's, then ``(start-up)``, ``(wind-down)`` and ``(no layer)`` if any unit spends cycles there.
    Over all layers and causes, the cycles of a unit sum to ``cycles``.
    """

    program: Program
    title: str
    instructions: list[Instruction]
    timeline: Timeline
    rows: Rows
    layers: tuple[LayerProfile, ...]
    memory: Memory

    @classmethod
    def of(cls, program: Program, report: RunReport, timeline: Timeline, title: str | None = None) -> "Profile":
        """The profile of a run of the RTL; the default ``title`` is the model's name.

        Raises ``ProfileError`` if timeline and registers contradict each other.
        """
        instructions, rows = list(program), Rows(program)
        if report.counters is None or report.cycles != timeline.cycles:
            raise ProfileError(f"the timeline has {timeline.cycles:,} cycles, the run's registers {report.cycles}")
        timeline = replace(timeline, tracks={unit: timeline.tracks[unit] for unit in UNITS if unit in timeline.tracks})
        attributions = attribute(timeline, rows, instructions)
        check_counters(attributions, report.counters)
        traffic = traffic_of(instructions, rows, program.configuration)
        memory = measured(report, traffic, program.configuration, len(program))
        layers = _layers(rows, attributions, traffic, program.configuration)
        return cls(program, title or program.model, instructions, timeline, rows, layers, memory)

    def layer_runs(self) -> list[tuple[int, int, int]]:
        """(row, first cycle, end cycle) of each stretch of the array's time for one row, in order."""
        track = self.timeline.tracks[ARRAY]
        rows = self.rows.of_segments(track.instructions)
        begins = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
        starts = np.append(track.starts[begins], self.cycles)
        return [(int(row), int(a), int(b)) for row, a, b in zip(rows[begins], starts, starts[1:], strict=False)]

    @property
    def config(self) -> Config:
        return self.program.configuration

    @property
    def cycles(self) -> int:
        return self.timeline.cycles

    @property
    def roofline(self) -> Roofline:
        return Roofline.of(self.config)

    @property
    def utilization(self) -> float:
        """Ratio of the graph's multiply-accumulates to those that the array could have done."""
        return self.program.macs / (self.config.multipliers * self.cycles)

    @property
    def ideal_cycles(self) -> float:
        return self.program.macs / self.config.multipliers

    @cached_property
    def units(self) -> Cycles:
        """Cycles by unit and cause."""
        return _total([layer.units for layer in self.layers])

    @cached_property
    def token_waits(self) -> Cycles:
        return _total([layer.token_waits for layer in self.layers])

    @property
    def lost(self) -> dict[str, float]:
        """Cycles in which the array does not use every multiplier, by cause, in descending order."""
        return lost_cycles(self.units[ARRAY], self.token_waits[ARRAY], self.ideal_cycles)

    def figures(self) -> dict[str, Any]:
        """The profile under the names of ``--json``."""
        roofline, memory = self.roofline, self.memory
        intensity = roofline.intensity(self.program.macs, memory.bytes_read, memory.bytes_written)
        return {
            "config": self.config.name, "cycles": self.cycles, "utilization": self.utilization,
            "macs": self.program.macs, "multipliers": self.config.multipliers, "ideal_cycles": self.ideal_cycles,
            "lost": self.lost, "units": self.units, "token_waits": self.token_waits,
            "layers": [layer.figures() for layer in self.layers],
            "memory": {"bytes_read": memory.bytes_read, "bytes_written": memory.bytes_written,
                       "instructions": memory.instructions} | memory.moved.by_kind(),
            "roofline": asdict(roofline) | {
                "ridge": roofline.ridge, "intensity": intensity, "macs_per_cycle": self.program.macs / self.cycles,
                "bound": roofline.bound(intensity)},
        }


def _layers(rows: Rows, attributions: dict[str, Attribution], traffic: list[Traffic],
            config: Config) -> tuple[LayerProfile, ...]:
    roofline, names = Roofline.of(config), list(attributions)
    layers = []
    for index, row in enumerate(rows.rows):
        units = {unit: {cause_name(cause): int(found.causes[index, cause]) for cause in Cause}
                 for unit, found in attributions.items()}
        waits = {unit: {names[producer]: int(cycles) for producer, cycles in enumerate(found.producers[index]) if cycles}
                 for unit, found in attributions.items()}
        if row.layer or any(sum(causes.values()) for causes in units.values()):
            layers.append(LayerProfile(row, units, waits, attributions[ARRAY].spans[index], traffic[index], roofline))
    return tuple(layers)


def _total(parts: list[Cycles]) -> Cycles:
    result: Cycles = {}
    for part in parts:
        for unit, cycles in part.items():
            into = result.setdefault(unit, {})
            for name, count in cycles.items():
                into[name] = into.get(name, 0) + count
    return result


def measure(program: Program, inputs: Mapping[str, Any], progress: Progress | None = None,
            title: str | None = None) -> Profile:
    """Runs one image, each input [1, ...], through the RTL of the program's configuration.

    Raises ``ProfileError`` for several images, and if timeline and registers contradict each other.
    """
    from arrayloom.host.runtime.backends import RtlDevice

    if any(len(values) != 1 for values in inputs.values()):
        raise ProfileError("a profile is of one image; give an input of batch 1")
    device = RtlDevice(program.configuration, timeline=True)
    with Session(program, program.configuration, device=device) as session:
        session.run(inputs, progress)
        report, timeline = session.report, device.timeline
    if timeline is None:
        raise ProfileError("the device recorded no timeline")
    return Profile.of(program, report, timeline, title)
