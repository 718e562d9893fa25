"""Which parts of the accelerator cells belong to, and the path that limits the clock by part."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WRAPPER = "wrapper"
UNNAMED = "unnamed"
_MODULE = re.compile(r"[A-Za-z_]\w*")
_LOGIC, _ROUTING = ("clk-to-q", "logic", "setup"), "routing"


def module_of(cell: str, root: str = "accelerator") -> str:
    """The hierarchical path of the module that a cell is in, from below ``root``; what is outside of it is the wrapper.

    Yosys names a flattened cell after its instance path and the signal it drives, with dots between; a few get names of
    its own making.
    """
    if cell.lstrip("\\").startswith("$"):
        return UNNAMED
    first, *parts = cell.split(".")
    if first != root or not parts:
        return WRAPPER
    path = []
    for part in parts[:-1]:
        if not _MODULE.fullmatch(part):
            break
        path.append(part)
    return ".".join(path) or "top"


def unit_of(cell: str) -> str:
    """The uppermost part of ``module_of``."""
    return module_of(cell).partition(".")[0]


@dataclass(frozen=True)
class Segment:
    """A stretch of a path within one module; nanoseconds in logic, and in the wires that lead to that logic."""

    module: str
    signal: str
    logic_ns: float
    routing_ns: float


def segments(path: Iterable[dict[str, Any]]) -> list[Segment]:
    """A path of nextpnr's JSON report (docs/report.md of nextpnr), cells of one module in a row taken together."""
    result: list[Segment] = []
    for step in path:
        cell = step["to" if step["type"] == _ROUTING else "from"]["cell"]
        module, signal = module_of(cell), cell.rpartition(".")[2]
        before = result.pop() if result and result[-1].module == module else Segment(module, signal, 0.0, 0.0)
        logic, routing = (step["delay"], 0.0) if step["type"] in _LOGIC else (0.0, step["delay"])
        result.append(Segment(module, before.signal, before.logic_ns + logic, before.routing_ns + routing))
    return result
