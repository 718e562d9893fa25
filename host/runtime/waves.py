"""Waveforms of a window of a run, with a limit on the size of the file."""

import difflib
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause, Register
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import WAVES, WaveFormat, accelerator
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop
from arrayloom.sim.rtl.timeline import Timeline, Track

DEFAULT_CYCLES = 10_000
LIMIT_BYTES = 4 << 30
MARGIN = 64             # cycles added on both sides of a layer or instruction, since pipelines overlap two of them
STEP = 1024             # cycles between checks of the file's size
GROUPS = (("ARRAY", "POST", "STORE"), ("LOAD",), ("FETCH",))    # the first cause with a unit that works for the layer counts
GRAMMAR = "a cycle, layer:NAME or instruction:N"


@dataclass(frozen=True)
class Point:
    """A place in a run: a cycle, or the span of a layer or of an instruction."""

    cycle: int | None = None
    layer: str | None = None
    instruction: int | None = None

    @classmethod
    def parse(cls, option: str, text: str) -> "Point":
        """``N``, ``layer:NAME`` or ``instruction:N``; raises ``InputError`` naming the option for anything else."""
        kind, _, value = text.partition(":")
        if re.fullmatch("[0-9]+", text):
            return cls(cycle=int(text))
        if kind == "layer" and value:
            return cls(layer=value)
        if kind == "instruction" and re.fullmatch("[0-9]+", value):
            return cls(instruction=int(value))
        raise InputError(f"{option} {text}: must be {GRAMMAR}")

    def span(self, program: Program, timeline: Timeline) -> tuple[int, int]:
        """First and last cycle. Raises ``InputError`` if there is no such place in the program or in the run."""
        if self.cycle is not None:
            if self.cycle >= timeline.cycles:
                raise InputError(f"waveforms of {self}: the run has {timeline.cycles:,} cycles")
            return self.cycle, self.cycle
        first, last = _span(self._instructions(program), timeline, str(self))
        return max(first - MARGIN, 0), min(last + MARGIN, timeline.cycles - 1)

    def __str__(self) -> str:
        if self.cycle is not None:
            return f"cycle {self.cycle:,}"
        return f"layer {self.layer!r}" if self.layer is not None else f"instruction {self.instruction}"

    def _instructions(self, program: Program) -> Collection[int]:
        if self.instruction is not None:
            if self.instruction >= len(program):
                raise InputError(f"waveforms of {self}: the program has {len(program)} instructions")
            return {self.instruction}
        wanted = {index for layer in program.layers if layer.name == self.layer for index in layer.instructions}
        if not wanted:
            names = [layer.name for layer in program.layers]
            close = difflib.get_close_matches(str(self.layer), names, 3, 0.3) or names[:3]
            raise InputError(f"waveforms of {self}: the program has none of that name; there are "
                             f"{', '.join(map(repr, close))} and others (arrayloom disasm lists them)")
        return wanted


def _span(wanted: Collection[int], timeline: Timeline, name: str) -> tuple[int, int]:
    """From the first to the last cycle in which a unit computes for one of the instructions; excludes LOAD, which may be far
    ahead."""
    for group in GROUPS:
        spans = [span for unit in group if (span := _computing(timeline.tracks[unit], timeline.cycles, wanted))]
        if spans:
            return min(first for first, _ in spans), max(last for _, last in spans)
    raise InputError(f"waveforms of {name}: the run ended before it began")


def _computing(track: Track, cycles: int, wanted: Collection[int]) -> tuple[int, int] | None:
    own: NDArray[np.bool_] = (track.causes == Cause.COMPUTING) & np.isin(track.instructions, list(wanted))
    if not own.any():
        return None
    ends = track.starts + track.lengths(cycles)
    return int(track.starts[own].min()), int(ends[own].max()) - 1


@dataclass(frozen=True)
class Window:
    """From ``first`` to ``last``, both included.

    Without ``last`` it ends at the end of ``first`` if that is a layer or an instruction, else after 10,000 cycles.
    """

    first: Point = Point(cycle=0)
    last: Point | None = None

    def cycles(self, program: Program, timeline: Timeline) -> tuple[int, int]:
        """First and last cycle, limited to the end of the run. Raises ``InputError`` if they are not in order."""
        begin, end = self.first.span(program, timeline)
        if self.last is None and self.first.cycle is not None:
            end += DEFAULT_CYCLES - 1
        elif self.last is not None:
            end = self.last.cycle if self.last.cycle is not None else self.last.span(program, timeline)[1]
        if end < begin:
            raise InputError(f"waveforms from {self.first} to {self.last}: cycles {begin:,} to {end:,} are not in order")
        return begin, min(end, timeline.cycles - 1)


@dataclass(frozen=True)
class Waves:
    """Waveforms of ``window``, written to ``path``, whose suffix determines the format; at most ``limit`` bytes."""

    path: Path
    window: Window
    limit: int = LIMIT_BYTES

    def require_format(self) -> WaveFormat:
        """The format; raises ``InputError`` for an unknown suffix."""
        suffix = self.path.suffix.lower().removeprefix(".")
        if suffix not in set(WaveFormat):
            raise InputError(f"{self.path}: waveforms are written as .vcd or .fst; choose a name with one of these endings")
        return WaveFormat(suffix)

    def record(self, program: Program, memory: Memory, timing: Timing, timeline: Timeline) -> None:
        """Runs ``program`` again, in the slower build for waveforms, up to the end of the window.

        ``memory`` is the memory before the run that ``timeline`` describes. Raises ``InputError`` for a window outside
        the run, and if the file would exceed the limit; it is then removed.
        """
        first, last = self.window.cycles(program, timeline)
        print(f"waveforms of cycles {first:,} to {last:,} of {timeline.cycles:,}", file=sys.stderr)
        driver = RtlDriver(build(accelerator(program.configuration), WAVES[self.require_format()]), program, memory, timing)
        try:
            driver.simulator.open_waves(self.path, first, last)
            driver.start()
            while driver.simulator.recording_waves and driver.simulator.run(STEP) is not Stop.IRQ:
                self._check(driver.read_64(Register.CYCLES) - first, last + 1 - first)
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        finally:
            driver.close()

    def _check(self, recorded: int, wanted: int) -> None:
        if recorded < STEP:
            return
        rate = self.path.stat().st_size / recorded
        if rate * wanted > self.limit:
            raise InputError(f"{self.path}: {wanted:,} cycles would take {rate * wanted / 1e9:,.1f} GB, more than the limit "
                             f"of {self.limit / 1e9:.1f} GB: choose at most {int(self.limit / rate):,} cycles, write .fst, "
                             "or raise --waves-limit")
