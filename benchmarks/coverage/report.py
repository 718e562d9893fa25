"""The figures of coverage: by unit and kind of point, by group of goals, and the explanations of the rest."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.coverage.points import KINDS, Hole, Point, explained

WANTED = {"line": 0.95, "branch": 0.95, "toggle": 0.90}
"""Fractions of points that must be hit or explained in every unit."""


@dataclass(frozen=True)
class Report:
    """The coverage of one set of runs.

    Attributes
    ----------
    units
        By unit and kind, the numbers of hit points and of all points.
    holes
        The points that each hole covers.
    left
        Points that were neither hit nor explained.
    functional
        By group, the numbers of reached goals and of all goals.
    """

    units: dict[str, dict[str, tuple[int, int]]]
    holes: dict[Hole, list[Point]]
    left: list[Point]
    functional: dict[str, tuple[set[str], set[str]]]

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        units = {unit: {plural: list(kinds[kind]) for kind, plural in KINDS.items()} for unit, kinds in self.units.items()}
        functional = {group: {"hit": len(reached & goals), "total": len(goals), "missed": sorted(goals - reached)}
                      for group, (reached, goals) in self.functional.items()}
        holes = [{"kind": hole.kind, "pattern": hole.pattern, "reason": hole.reason, "points": len(points)}
                 for hole, points in self.holes.items()]
        left = [f"{point.unit} {point.kind} {point.name}" for point in self.left]
        return {"units": units, "functional": functional, "holes": holes, "unexplained": left}

    def faults(self) -> list[str]:
        """The violated requirements, as sentences."""
        left: dict[tuple[str, str], int] = defaultdict(int)
        for point in self.left:
            left[point.unit, point.kind] += 1
        short = [f"{unit}: {count} of {self.units[unit][kind][1]} {KINDS[kind]} are neither hit nor explained"
                 for (unit, kind), count in sorted(left.items()) if count > (1 - WANTED[kind]) * self.units[unit][kind][1]]
        useless = [f"explains nothing: {hole.kind} {hole.pattern}" for hole, points in self.holes.items() if not points]
        return short + useless


def make_report(points: Iterable[Point], holes: Iterable[Hole], reached: Mapping[str, Iterable[str]],
                goals: Mapping[str, set[str]]) -> Report:
    """The report of hit points and reached goals."""
    points = list(points)
    units: dict[str, dict[str, tuple[int, int]]] = defaultdict(lambda: dict.fromkeys(KINDS, (0, 0)))
    for point in points:
        hit, total = units[point.unit][point.kind]
        units[point.unit][point.kind] = hit + point.hit, total + 1
    covered = explained(points, holes)
    known = {id(point) for some in covered.values() for point in some}
    left = [point for point in points if not point.hit and id(point) not in known]
    return Report(dict(sorted(units.items())), covered, left,
                  {group: (set(reached.get(group, ())), names) for group, names in goals.items()})


def lines(report: Report) -> list[str]:
    """The report as text."""
    text = [f"{unit:<12} " + ", ".join(f"{KINDS[kind]} {hit:,} of {total:,}" for kind, (hit, total) in kinds.items())
            for unit, kinds in report.units.items()]
    for kind in KINDS:
        hit, total = (sum(kinds[kind][index] for kinds in report.units.values()) for index in (0, 1))
        text.append(f"{'all ' + KINDS[kind]:<12} {hit:,} of {total:,}: {hit / total:.1%}")
    for group, (reached, goals) in report.functional.items():
        text.append(f"{group:<14} {len(reached & goals):,} of {len(goals):,}")
        text += [f"    missed: {goal}" for goal in sorted(goals - reached)]
    return text
