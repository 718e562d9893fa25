"""The measured speed of segments on this machine, stored next to the simulator."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.segments.golden import emulate
from arrayloom.host.segments.plan import Planner
from arrayloom.host.segments.run import run_segment
from arrayloom.host.segments.segment import cut, ends
from arrayloom.host.segments.state import State
from arrayloom.isa.files import write_atomically
from arrayloom.isa.image import build_memory

SHORT = 400_000     # approximate cycles of a segment run for the measurement


@dataclass(frozen=True)
class Speed:
    """Cycles per second.

    Attributes
    ----------
    simulated
        Speed of a segment in one worker, from the task's beginning to its end.
    emulated
        Speed of the emulator in parallel to the workers.
    measured
        Description of the measurement.
    """

    simulated: float
    emulated: float
    measured: str


def place(library: Path) -> Path:
    """The file with the speed of a simulator."""
    return library.with_name("speed.json")


def keep(speed: Speed, library: Path) -> None:
    """Saves the speed for later plans with that simulator. If its folder is not writable, the speed is measured again next
    time."""
    with suppress(OSError), write_atomically(place(library)) as file:
        file.write(json.dumps(asdict(speed)).encode())


def kept(library: Path) -> Speed | None:
    """The saved speed; None if there is none or it cannot be read."""
    try:
        found: Any = json.loads(place(library).read_bytes())
        return Speed(float(found["simulated"]), float(found["emulated"]), str(found["measured"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def measure(planner: Planner) -> Speed:
    """Runs the first cycles of the planner's program here, on the emulator and on the RTL."""
    flow, program = planner.flow, planner.flow.program
    long = [end for end in range(1, flow.end) if ends(flow, end) and planner.clock[end] >= SHORT]
    segment = cut(flow, 0, 0, *[long[0] if long else flow.end] * 2)
    states: dict[int, tuple[float, State]] = {}
    begin = time.perf_counter()
    with suppress(_MeasuredError):
        emulate(program, build_memory(program), (0, segment.end), lambda state: _note(state, states, segment.end))
    emulated = states[segment.end][0] - begin
    run = run_segment(program, segment, states[0][1], lambda _: None)
    return Speed(run.cycles / run.seconds, run.cycles / emulated, f"the first {run.cycles:,} cycles, just now")


class _MeasuredError(Exception):
    """Raised when the emulator has run far enough."""


def _note(state: State, states: dict[int, tuple[float, State]], end: int) -> None:
    states[state.index] = time.perf_counter(), state
    if state.index == end:
        raise _MeasuredError
