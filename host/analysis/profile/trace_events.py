"""The profile as a trace for Perfetto and chrome://tracing.

The JSON object form of the Trace Event Format (Google, "Trace Event Format", CounterFormat and complete events); one
microsecond of the trace is one cycle.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.host.analysis.profile.attribution import CAUSES, Counts, cause_name, durations
from arrayloom.host.analysis.profile.run_profile import Profile
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.fields import Instruction
from arrayloom.isa.files import write_atomically
from arrayloom.sim.rtl.timeline import Track

CAUSE_EVENTS = 100_000      # most slices of causes in a file, in addition to one per instruction and unit
TRAFFIC_EVENTS = 2_000      # number of points of the bus counters
PROCESS = 1
LAYERS = 0                  # the thread of layers; the units follow
Event = dict[str, Any]


@dataclass(frozen=True)
class Segments:
    """Consecutive segments: start, length, dominant cause, and cycles of each cause. No segment
    crosses the boundary of an instruction."""

    starts: Counts
    lengths: Counts
    causes: Counts
    merged: list[dict[int, int]]


def coalesce(track: Track, lengths: Counts, shortest: int) -> Segments:
    """Merges adjacent segments of a track under ``shortest`` cycles within one instruction."""
    brief = lengths < shortest
    breaks = np.ones(len(lengths), bool)
    breaks[1:] = ~(brief[1:] & brief[:-1]) | (track.instructions[1:] != track.instructions[:-1])
    begins = np.flatnonzero(breaks)
    group = np.cumsum(breaks) - 1
    counts = np.zeros((len(begins), CAUSES), np.int64)
    np.add.at(counts, (group, track.causes), lengths)
    merged = [{int(cause): int(row[cause]) for cause in np.flatnonzero(row)} for row in counts]
    return Segments(track.starts[begins], counts.sum(1), counts.argmax(1), merged)


def write_trace(profile: Profile, path: Path, limit: int = CAUSE_EVENTS) -> int:
    """Writes the trace; returns the number of cycles below which segments of causes were merged, 1 if none were.

    Raises ``InputError`` if the file cannot be written.
    """
    shortest, segments = _fitting(profile, limit)
    note = "every segment is shown" if shortest == 1 else (
        f"segments of causes under {shortest} cycles are merged with their neighbours; the cycles by cause of each are in "
        "its arguments")
    head = json.dumps({"unit": "1 us is one clock cycle", "model": profile.title, "config": profile.config.name,
                       "cycles": profile.cycles, "note": note})
    body = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events(profile, segments))
    try:
        with write_atomically(path) as file:
            file.write(f'{{"displayTimeUnit": "ns", "otherData": {head}, "traceEvents": [\n{body}\n]}}\n'.encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return shortest


def _fitting(profile: Profile, limit: int) -> tuple[int, dict[str, Segments]]:
    """The smallest power of two below which segments must be merged to stay within ``limit`` slices, and the slices of each
    unit."""
    shortest = 1
    while True:
        segments = {unit: coalesce(track, durations(track, profile.cycles), shortest)
                    for unit, track in profile.timeline.tracks.items()}
        if sum(len(each.starts) for each in segments.values()) <= limit or shortest > profile.cycles:
            return shortest, segments
        shortest *= 2


def events(profile: Profile, segments: dict[str, Segments]) -> Iterator[Event]:
    """The trace's events: a track of layers, one of each unit, counters of the bus."""
    yield _metadata("process_name", LAYERS, f"{profile.title} on {profile.config.name} (1 us = 1 cycle)")
    yield _metadata("thread_name", LAYERS, "layers of the array")
    for number, unit in enumerate(profile.timeline.tracks, LAYERS + 1):
        yield _metadata("thread_name", number, unit)
    for number in range(LAYERS, len(profile.timeline.tracks) + 1):
        yield _metadata("thread_sort_index", number, number)
    yield from _layers(profile)
    for number, (unit, track) in enumerate(profile.timeline.tracks.items(), LAYERS + 1):
        yield from _instructions(profile, track, number)
        yield from _causes(segments[unit], number)
    yield from _traffic(profile)


def _metadata(kind: str, thread: int, value: str | int) -> Event:
    key = "sort_index" if kind.endswith("sort_index") else "name"
    return {"ph": "M", "name": kind, "pid": PROCESS, "tid": thread, "args": {key: value}}


def _slice(name: str, category: str, thread: int, begin: int, cycles: int, arguments: Event) -> Event:
    return {"ph": "X", "name": name, "cat": category, "pid": PROCESS, "tid": thread, "ts": int(begin), "dur": int(cycles),
            "args": arguments}


def _layers(profile: Profile) -> Iterator[Event]:
    for row, begin, end in profile.layer_runs():
        one = profile.rows.rows[row]
        yield _slice(one.name, "layer", LAYERS, begin, end - begin,
                     {"operator": one.operator, "macs": one.macs, "fused": [layer.name for layer in one.fused]})


def _instructions(profile: Profile, track: Track, thread: int) -> Iterator[Event]:
    begins = np.flatnonzero(np.append(True, track.instructions[1:] != track.instructions[:-1]))
    starts = np.append(track.starts[begins], profile.cycles)
    for index, begin, end in zip(track.instructions[begins], starts, starts[1:], strict=False):
        if index >= 0:
            instruction = profile.instructions[index]
            row = profile.rows.rows[profile.rows.of_instruction[index]]
            yield _slice(instruction.mnemonic(), "instruction", thread, begin, end - begin,
                         {"layer": row.name, "index": int(index), "operands": _operands(instruction)})


def _operands(instruction: Instruction) -> str:
    return str(instruction).partition(" ")[2]


def _causes(segments: Segments, thread: int) -> Iterator[Event]:
    """Slices inside those of the instructions; a merged slice lists the cycles of each cause."""
    ends = segments.starts + segments.lengths
    for begin, end, cause, merged in zip(segments.starts, ends, segments.causes, segments.merged, strict=True):
        arguments = {cause_name(one): cycles for one, cycles in merged.items()} if len(merged) > 1 else {}
        yield _slice(cause_name(cause), "cause", thread, begin, end - begin, arguments)


def _traffic(profile: Profile) -> Iterator[Event]:
    """Words per cycle on the bus between points in time."""
    edges = np.unique(np.linspace(0, profile.cycles, TRAFFIC_EVENTS + 1).astype(np.int64))
    traffic = profile.timeline.traffic
    for name, words in (("bus read", traffic.words_read), ("bus written", traffic.words_written)):
        rates = np.diff(np.interp(edges, traffic.cycles, words)) / np.diff(edges)
        for begin, rate in zip(edges, rates, strict=False):
            yield {"ph": "C", "name": name, "pid": PROCESS, "ts": int(begin), "args": {"words a cycle": round(rate, 3)}}
