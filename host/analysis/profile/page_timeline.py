"""The plot of time: what each unit did, by columns of cycles, in an SVG whose view box the page's script moves."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.analysis.profile.attribution import CAUSES, Counts, cause_name, durations
from arrayloom.host.analysis.profile.page_markup import colour, element, legend, text
from arrayloom.host.analysis.profile.run_profile import Profile
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline

COLUMNS = 4096      # of the whole run
LANE, GAP = 40, 8   # heights in pixels, the plot's unit
LAYERS_HEIGHT = 16
BUS = {"bus read": "words_read", "bus written": "words_written"}
BUS_COLOUR = "#4d6a8f"
SHADES = ("#46536b", "#a9b3c6")
TICKS = 9
ORDER = [Cause.COMPUTING, *(cause for cause in Cause if cause not in (Cause.COMPUTING, Cause.IDLE)), Cause.IDLE]


@dataclass(frozen=True)
class Plot:
    """The plot alone and what it shows.

    ``lanes``: the middle of each lane, in pixels from above. ``folded``: int64[columns, CAUSES] of each unit. ``bus``: words
    a cycle in each column.
    """

    svg: str
    height: int
    lanes: dict[str, int]
    causes: list[str]
    borders: Counts
    folded: dict[str, Counts]
    bus: dict[str, NDArray[np.float64]]


def plot(profile: Profile, columns: int, **attributes: str | float) -> Plot:
    """What each unit did over time, in at most ``columns`` columns of cycles; ``attributes`` are the SVG element's own."""
    borders = edges(profile.cycles, columns)
    folded = {unit: fold(profile.timeline, unit, borders) for unit in profile.timeline.tracks}
    bus = {name: _words(profile, field, borders) for name, field in BUS.items()}
    causes = [cause_name(cause) for cause in ORDER if any(counts[:, cause].any() for counts in folded.values())]
    labels = ["layers", *folded, *bus]
    height = _top(len(labels) - 1) + LANE
    svg = element("svg", _layers(profile) + _units(folded, borders) + _bus(bus, borders, len(folded)),
                  viewBox=f"0 0 {profile.cycles} {height}", preserveAspectRatio="none", height=height, role="img",
                  aria_label="What each unit did over time", xmlns="http://www.w3.org/2000/svg", **attributes)
    middles = {label: _top(lane) + _height(lane) // 2 for lane, label in enumerate(labels)}
    return Plot(svg, height, middles, causes, borders, folded, bus)


def timeline(profile: Profile) -> str:
    """The plot with its legend, its labels and the data of its tooltips."""
    drawn = plot(profile, COLUMNS, id="time")
    names = "".join(element("div", text(label), style=f"height:{_height(number)}px;margin-bottom:{GAP}px")
                    for number, label in enumerate(drawn.lanes))
    return element("div", element("div", names, class_="labels") + element(
        "div", drawn.svg + element("div", _ticks(profile.cycles), id="ticks"), class_="plot", id="plot", tabindex="0"),
        class_="time") + legend(drawn.causes) + _data(profile, drawn)


def edges(cycles: int, columns: int) -> Counts:
    """int64[n + 1]: the borders of at most ``columns`` columns of a run."""
    return np.unique(np.linspace(0, cycles, min(columns, cycles) + 1).astype(np.int64))


def fold(timeline: Timeline, unit: str, borders: Counts) -> NDArray[np.int64]:
    """int64[n, CAUSES]: the exact cycles of each cause between adjacent borders."""
    track = timeline.tracks[unit]
    lengths = durations(track, timeline.cycles)
    points = np.append(track.starts, timeline.cycles)
    result = np.zeros((len(borders) - 1, CAUSES), np.int64)
    for cause in range(CAUSES):
        passed = np.append(0, np.cumsum(np.where(track.causes == cause, lengths, 0)))
        result[:, cause] = np.diff(np.rint(np.interp(borders, points, passed)).astype(np.int64))
    return result


def _height(lane: int) -> int:
    return LANE if lane else LAYERS_HEIGHT


def _top(lane: int) -> int:
    return LAYERS_HEIGHT + GAP + (lane - 1) * (LANE + GAP) if lane else 0


def _layers(profile: Profile) -> str:
    """The layer for which the array works or waits, over time."""
    shapes = []
    for number, (row, begin, end) in enumerate(profile.layer_runs()):
        name = profile.rows.rows[row].name
        title = element("title", text(f"{name}: cycles {begin:,} to {end - 1:,}"))
        shapes.append(element("rect", title, x=begin, y=0, width=end - begin, height=LAYERS_HEIGHT, fill=SHADES[number % 2]))
    return "".join(shapes)


def _units(folded: dict[str, Counts], borders: Counts) -> str:
    shapes = []
    widths = np.diff(borders)[:, None]
    for lane, counts in enumerate(folded.values(), 1):
        shares = np.zeros((len(counts), CAUSES + 1))
        shares[:, 1:] = np.cumsum(counts[:, ORDER], 1) / widths
        for place, cause in enumerate(ORDER):
            if counts[:, cause].any():
                path = _path(borders, shares[:, place], shares[:, place + 1], _top(lane))
                shapes.append(element("path", d=path, fill=colour(cause_name(cause))))
    return "".join(shapes)


def _bus(bus: dict[str, NDArray[np.float64]], borders: Counts, lanes: int) -> str:
    shapes = []
    for lane, (name, rates) in enumerate(bus.items(), lanes + 1):
        shapes.append(element("rect", x=0, y=_top(lane), width=int(borders[-1]), height=LANE, fill="#f1f1ee"))
        path = _path(borders, np.zeros(len(rates)), rates, _top(lane))
        shapes.append(element("path", element("title", text(name)), d=path, fill=BUS_COLOUR))
    return "".join(shapes)


def _path(borders: Counts, low: NDArray[np.float64], high: NDArray[np.float64], top: int) -> str:
    """One rectangle for each run of equal columns, from ``low`` to ``high`` of a lane, counted from below."""
    begins = np.flatnonzero(np.append(True, (np.diff(low) != 0) | (np.diff(high) != 0)))
    ends = np.append(begins[1:], len(low))
    return "".join(
        f"M{borders[a]} {top + LANE * (1 - high[a]):.4g}H{borders[b]}V{top + LANE * (1 - low[a]):.4g}H{borders[a]}Z"
        for a, b in zip(begins, ends, strict=True) if high[a] > low[a])


def _words(profile: Profile, field: str, borders: Counts) -> NDArray[np.float64]:
    """Words per cycle in each column."""
    traffic = profile.timeline.traffic
    passed = np.interp(borders, traffic.cycles, getattr(traffic, field))
    return np.clip(np.diff(passed) / np.diff(borders), 0, 1)


def _ticks(cycles: int) -> str:
    return "".join(element("span", f"{round(cycles * n / (TICKS - 1)):,}", style=f"left:{100 * n / (TICKS - 1):.4g}%")
                   for n in range(TICKS))


def _data(profile: Profile, drawn: Plot) -> str:
    """Data of the tooltips: for each unit, runs of [columns, cause, cycles, ...], with equal columns merged."""
    value: dict[str, Any] = {
        "cycles": profile.cycles, "borders": drawn.borders.tolist(), "causes": [cause_name(cause) for cause in Cause],
        "units": {unit: _runs(counts) for unit, counts in drawn.folded.items()},
        "bus": {name: np.round(rates, 3).tolist() for name, rates in drawn.bus.items()},
        "layers": [[profile.rows.rows[row].name, begin, end] for row, begin, end in profile.layer_runs()],
    }
    return element("script", json.dumps(value, separators=(",", ":")).replace("</", "<\\/"), type="application/json",
                   id="data")


def _runs(counts: Counts) -> list[list[int]]:
    begins = np.flatnonzero(np.append(True, (counts[1:] != counts[:-1]).any(1)))
    lengths = np.diff(begins, append=len(counts))
    return [[int(length), *(int(v) for cause in np.flatnonzero(counts[begin]) for v in (cause, counts[begin, cause]))]
            for begin, length in zip(begins, lengths, strict=True)]
