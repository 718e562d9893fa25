"""nextpnr: placement and routing, and the critical path by module."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis.families import NETLIST, PINS, Device
from arrayloom.host.analysis.synthesis.tools import NEXTPNR, stage_reporter
from arrayloom.host.analysis.synthesis.yosys import module_of
from arrayloom.sim.rtl.process import Report

REPORT, LOG = "report.json", "nextpnr.log"
# Weight of slow paths, six times the default, since wires dominate their delay; a higher weight scatters the rest.
PLACER = {"ecp5": ("--placer", "heap", "--placer-heap-timingweight", "60")}
STAGES = {
    r"Info: Packing": "packing", r"Info: Running main analytical placer": "placing", r"Info: Routing\.\.": "routing",
}
_LOGIC, _ROUTING = ("clk-to-q", "logic", "setup"), "routing"


def place(folder: Path, device: Device, seed: int, target_mhz: float, report: Report) -> dict[str, Any]:
    """Places and routes ``netlist.json``; returns nextpnr's report.

    Raises ``SynthesisError`` if the design does not fit the device or nextpnr fails.
    """
    family, log, result = device.family.name, _of_seed(LOG, seed), _of_seed(REPORT, seed)
    (folder / PINS).write_text(device.part.pins)
    NEXTPNR[family].run([*device.arguments(), *PLACER.get(family, ()), "--log", log, "--json", NETLIST,
                         "--report", result, "--seed", str(seed), "--freq", f"{target_mhz:g}", "--timing-allow-fail"],
                        folder, stage_reporter(f"nextpnr, seed {seed}", STAGES, report))
    figures: dict[str, Any] = json.loads((folder / result).read_text())
    return figures


def keep(folder: Path, seed: int) -> None:
    """Copies that seed's report and log to the names without a number."""
    for name in (REPORT, LOG):
        shutil.copyfile(folder / _of_seed(name, seed), folder / name)


def _of_seed(name: str, seed: int) -> str:
    path = Path(name)
    return f"{path.stem}-{seed}{path.suffix}"


def clock_mhz(report: dict[str, Any]) -> float:
    """The clock frequency that the slowest path allows."""
    return min(float(clock["achieved"]) for clock in report["fmax"].values())


def critical_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the slowest path between two registers."""
    within = [path for path in report["critical_paths"] if _edge(path["from"]) and path["from"] == path["to"]]
    steps: list[dict[str, Any]] = max((path["path"] for path in within), key=lambda path: sum(s["delay"] for s in path))
    return steps


def _edge(end: str) -> bool:
    """Whether a path's end is a clock edge rather than a pin or constant."""
    return end.startswith("posedge ")


@dataclass(frozen=True)
class Segment:
    """A part of a path within one module; nanoseconds in logic, and in the wires to that logic."""

    module: str
    signal: str
    logic_ns: float
    routing_ns: float


def segments(path: Iterable[dict[str, Any]]) -> list[Segment]:
    """A path of nextpnr's JSON report (docs/report.md of nextpnr), with consecutive cells of one module merged."""
    result: list[Segment] = []
    for step in path:
        cell = step["to" if step["type"] == _ROUTING else "from"]["cell"]
        module, signal = module_of(cell), cell.rpartition(".")[2]
        before = result.pop() if result and result[-1].module == module else Segment(module, signal, 0.0, 0.0)
        logic, routing = (step["delay"], 0.0) if step["type"] in _LOGIC else (0.0, step["delay"])
        result.append(Segment(module, before.signal, before.logic_ns + logic, before.routing_ns + routing))
    return result
