"""A counterexample as a table: a line per signal of the harness, a column per cycle."""

from pathlib import Path

from pywellen import Waveform

from .harness import CLAIM, Harness

LAST = 12       # cycles shown
CYCLE = 10      # time units of the waveform per cycle


def table(trace: Path, harness: Harness) -> str:
    """Inputs, internal values and claims up to the cycle in which a claim fails."""
    waveform = Waveform(str(trace))
    changes = {name: list(waveform[f"top.{name}"].tv) for name in _signals(waveform)}
    cycles = 1 + max(int(time) for pairs in changes.values() for time, _ in pairs) // CYCLE
    lines = {name: _by_cycle(pairs, cycles) for name, pairs in changes.items()}
    broken = [name for name, values in lines.items() if harness.kinds.get(name) == CLAIM and not values[-1]]
    shown = {name: values[-LAST:] for name, values in lines.items() if name not in harness.kinds}
    width = max(map(len, shown), default=0)
    return "\n".join([
        f"claims that fail: {', '.join(broken) or 'an assertion of the unit'}",
        f"the last {min(LAST, cycles)} cycles, in hexadecimal:",
        *(f"{name:{width}}  {'  '.join(f'{value:x}' for value in values)}" for name, values in shown.items()),
    ])


def _signals(waveform: Waveform) -> list[str]:
    """The names of the harness's own signals."""
    names = [str(var.full_name).split(".") for var in waveform.all_vars()]
    return [parts[1] for parts in names if len(parts) == 2 and parts[1] != "clk"]


def _by_cycle(changes: list[tuple[int, int]], cycles: int) -> list[int]:
    """The value at the beginning of each cycle."""
    values = [0] * cycles
    for time, value in changes:
        for cycle in range(-(-int(time) // CYCLE), cycles):
            values[cycle] = int(value)
    return values
