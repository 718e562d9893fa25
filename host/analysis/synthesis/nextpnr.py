"""Placement and routing, and nextpnr's report of them."""

import json
import re
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis.device import Device
from arrayloom.host.analysis.synthesis.tools import NEXTPNR
from arrayloom.host.analysis.synthesis.yosys import NETLIST
from arrayloom.sim.rtl.progress import Report

REPORT, LOG = "report.json", "nextpnr.log"
# Slow paths weigh more than by default, as wires take most of their time.
PLACER = ("--placer", "heap", "--placer-heap-timingweight", "20", "--placer-heap-critexp", "4")
_STAGES = {
    r"Info: Packing": "packing", r"Info: Running main analytical placer": "placing", r"Info: Routing\.\.": "routing",
}


def place(folder: Path, device: Device, seed: int, target_mhz: float, report: Report) -> dict[str, Any]:
    """Places and routes ``netlist.json``; returns nextpnr's report.

    Raises ``SynthesisError`` when the design does not fit the device or nextpnr fails.
    """
    stages = {re.compile(pattern): stage for pattern, stage in _STAGES.items()}

    def seen(line: str) -> None:
        for pattern in [pattern for pattern in stages if pattern.match(line)]:
            report(f"nextpnr: {stages.pop(pattern)}")

    NEXTPNR.run([*device.arguments(), *PLACER, "--log", LOG, "--json", NETLIST, "--report", REPORT,
                 "--seed", str(seed), "--freq", f"{target_mhz:g}", "--timing-allow-fail"], folder, seen)
    result: dict[str, Any] = json.loads((folder / REPORT).read_text())
    return result


def clock_mhz(report: dict[str, Any]) -> float:
    """The clock that the slowest path allows."""
    return min(float(clock["achieved"]) for clock in report["fmax"].values())


def critical_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the slowest path between two registers."""
    within = [path for path in report["critical_paths"] if _edge(path["from"]) and path["from"] == path["to"]]
    steps: list[dict[str, Any]] = max((path["path"] for path in within), key=lambda path: sum(s["delay"] for s in path))
    return steps


def _edge(end: str) -> bool:
    """Whether a path's end is a clock edge; the others are pins, and constants."""
    return end.startswith("posedge ")
