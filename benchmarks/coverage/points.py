"""Verilator's coverage points: the place of each in the hardware, whether it counts, and explanations of those not hit."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

KINDS = {"line": "lines", "branch": "branches", "toggle": "toggles"}
UNITS = {"": "top", "slave": "control", "windows": "control", "memory": "scratchpad", "weights": "weight_fifo"}
"""Units by the name of their instance in the top, if the names differ."""
PAYLOAD = ("*payload*", "*__data", "*_data", "*data$*", "*__address", "*wdata*", "*rdata*")
"""One-bit signals that are data, not control."""

_POINT = re.compile(rb"^C '([^']*)' (\d+)$", re.MULTILINE)
_REGISTER = re.compile(r"^\s*(\S+)(?: \[[^\]]*\])? *<= (\\?\$\d+) *;$")
_WIRED = re.compile(r"^\s*assign (\S+)(?: \[[^\]]*\])? *= (\\?\$\d+) *;$")
_TARGET = re.compile(r"^\s*(\\\S+ |[A-Za-z_$][\w$]*)(?:\[[^\]]*\])? *<?= ")
_ARTIFACT = re.compile(r"if \(\\\$auto\$verilog_backend\S+ \) begin end")


@dataclass(frozen=True)
class Point:
    """``kind`` is line, branch or toggle; ``name`` identifies instance, signal and detail."""

    unit: str
    kind: str
    name: str
    hit: bool


@dataclass(frozen=True)
class Hole:
    """Points that need not be hit, selected by a name pattern, and the reason."""

    kind: str
    pattern: str
    reason: str

    def covers(self, point: Point) -> bool:
        return self.kind == point.kind and fnmatchcase(point.name, self.pattern)


def read_points(counts: Path) -> list[Point]:
    """The points of Verilator's file: all lines and branches, and the toggles of control signals, that is, one-bit
    signals and state registers."""
    sources: dict[str, Source] = {}
    points = []
    for text, count in _POINT.findall(counts.read_bytes()):
        fields = dict(part.split("\2", 1) for part in text.decode().split("\1") if "\2" in part)
        instance = fields["h"].partition("top.")[2]
        if fields["t"] == "toggle":
            name = _toggle(fields["o"])
        else:
            file = fields["f"]
            if file not in sources:
                sources[file] = Source(Path(file).read_text())
            name = sources[file].name(int(fields["l"]), fields["o"])
        if name is not None:
            points.append(Point(unit_of(instance), fields["t"], f"{instance}.{name}".lstrip("."), count != b"0"))
    return points


def merge(runs: Iterable[list[Point]]) -> list[Point]:
    """Merges the points of runs of one build: hit if any run hit it. Raises ``ValueError`` for runs of different builds."""
    return [replace(points[0], hit=any(point.hit for point in points)) for points in zip(*runs, strict=True)]


def unit_of(instance: str) -> str:
    """The unit that contains an instance, given as a path from the top."""
    first = instance.split(".")[0]
    return "issue" if first.endswith("_issue") else UNITS.get(first, first)


def _toggle(text: str) -> str | None:
    """A readable name, or None if it is not a control signal: a bit of a vector, an unnamed value, data."""
    name, _, change = text.rpartition(":")
    name = re.sub(r"__0(?:([0-9a-f]{2}))|___05F", lambda found: chr(int(found[1], 16)) if found[1] else "__", name)
    vector = re.fullmatch(r"(.*)\[\d+\]", name)
    if (vector and not vector[1].endswith("state")) or re.match(r"\$(auto\$|\d+$)", name) or name in ("clk", "rst"):
        return None
    return None if any(fnmatchcase(name, pattern) for pattern in PAYLOAD) else f"{name} {change}"


class Source:
    """The instrumented Verilog, with the decision made at each place."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._modules = [index for index, line in enumerate(self._lines) if line.startswith("module ")]
        self._blocks = [index for index, line in enumerate(self._lines) if re.match(r"\s*always ", line)]
        self._fed = [dict(self._feeds(first, last)) for first, last in
                     zip(self._modules, [*self._modules[1:], len(self._lines)], strict=True)]

    def name(self, line: int, kind: str) -> str | None:
        """The subject of the point of that kind at a line, counted from 1; None for code added by the Verilog writer."""
        text = self._lines[line - 1].strip()
        if _ARTIFACT.search(text):
            return None
        block = bisect_right(self._blocks, line - 1) - 1
        target = self._target(self._blocks[block], line - 1) if block >= 0 and "assign" not in text else self._left(text)
        return f"{target}: {kind} {re.sub(r'[$][0-9]+', '$', text)}"

    def _feeds(self, first: int, last: int) -> Iterator[tuple[str, str]]:
        """The register or signal to which each unnamed value leads."""
        for line in self._lines[first:last]:
            if found := _REGISTER.match(line) or _WIRED.match(line):
                yield found[2].strip(), found[1].strip()

    def _target(self, begin: int, line: int) -> str:
        for index in range(begin + 1, len(self._lines)):
            if found := _TARGET.match(self._lines[index]):
                name = found[1].strip()
                fed = self._fed[bisect_right(self._modules, line) - 1]
                return fed.get(name, name).lstrip("\\")
        return "?"

    def _left(self, text: str) -> str:
        found = re.match(r"assign (\S+)", text)
        return re.sub(r"\$\d+$", "$", found[1].lstrip("\\")) if found else "?"


def read_holes(text: str) -> list[Hole]:
    """Parses lines ``KIND PATTERN``, preceded by comments with the reason. Raises ``ValueError`` for any other line."""
    holes, reason, used = [], "", False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            reason, used = (line[1:].strip() if used or not reason else f"{reason} {line[1:].strip()}"), False
        elif line:
            kind, _, pattern = line.partition(" ")
            if kind not in KINDS or not pattern or not reason:
                raise ValueError(f"holes.txt:{number}: {line!r}: write {', '.join(KINDS)} and a pattern, after a comment "
                                 "that says why")
            holes.append(Hole(kind, pattern.strip(), reason))
            used = True
        else:
            reason = ""
    return holes


def explained(points: Iterable[Point], holes: Iterable[Hole]) -> dict[Hole, list[Point]]:
    """The points not hit that each hole covers."""
    missed = [point for point in points if not point.hit]
    return {hole: [point for point in missed if hole.covers(point)] for hole in holes}
