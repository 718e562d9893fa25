"""Converts Amaranth to a netlist of the device's cells with Yosys, and attributes the cells to parts of the accelerator."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis.families import NETLIST, RESOURCES, TOP, VERILOG, Device, Family
from arrayloom.host.analysis.synthesis.tools import YOSYS, stage_reporter
from arrayloom.sim.rtl.process import Report

LOG = "yosys.log"

WRAPPER = "wrapper"
UNNAMED = "unnamed"
ROOT = "accelerator"        # the instance to analyze
_MODULE = re.compile(r"[A-Za-z_]\w*")

STAGES = {rf"\d[\d.]*\. Executing {name} pass": stage for name, stage in (
    ("HIERARCHY", "reading"), ("FLATTEN", "flattening"), ("MEMORY_LIBMAP", "mapping memories"), ("ABC9", "mapping logic"))}
_MEMORY = re.compile(r"mapping memory \w+\.(\S+) via \$__(\w+)|using FF mapping for memory \w+\.(\S+)")
_DISTRIBUTED = re.compile("LUTRAM|DPR16")


@dataclass(frozen=True)
class MemoryUse:
    """The implementation of a memory: ``kind`` is block, distributed or registers."""

    name: str
    kind: str


def synthesize(component: Any, device: Device, folder: Path, report: Report) -> None:
    """Writes ``design.v`` and ``netlist.json`` into ``folder``; raises ``SynthesisError`` if Yosys fails."""
    from arrayloom.sim.rtl.verilog import write_verilog

    report("writing Verilog")
    write_verilog(component, folder / VERILOG, TOP, hierarchy=True)
    YOSYS.run(["-l", LOG, "-p", device.script], folder, stage_reporter("yosys", STAGES, report))


def module_of(cell: str, root: str = ROOT) -> str:
    """The hierarchical path, below ``root``, of a cell's module; everything outside ``root`` is the wrapper.

    Yosys names a flattened cell after its instance path and the signal it drives, separated by dots; a few cells get
    generated names.
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


def unit_of(cell: str, root: str = ROOT) -> str:
    """The first part of ``module_of``."""
    return module_of(cell, root).partition(".")[0]


def count_cells(netlist: dict[str, Any], family: Family, top: str = TOP, root: str = ROOT) -> dict[str, dict[str, int]]:
    """Each of ``RESOURCES`` by unit, from Yosys's JSON netlist; a remaining half block RAM counts as one."""
    units: dict[str, dict[str, float]] = {}
    for name, cell in netlist["modules"][top]["cells"].items():
        for resource, weights in family.cells.items():
            if weight := weights.get(cell["type"]):
                unit = units.setdefault(unit_of(name, root), dict.fromkeys(RESOURCES, 0.0))
                unit[resource] += weight
    return {unit: {resource: math.ceil(count) for resource, count in counts.items()}
            for unit, counts in sorted(units.items())}


def count_all(netlist: dict[str, Any], family: Family, top: str = TOP) -> dict[str, int]:
    """The same of all units together."""
    kinds = Counter(cell["type"] for cell in netlist["modules"][top]["cells"].values())
    return {resource: math.ceil(sum(kinds[cell] * weight for cell, weight in family.cells[resource].items()))
            for resource in RESOURCES}


def memories(log: Iterable[str]) -> list[MemoryUse]:
    """The implementation of each memory, from Yosys's log."""
    found = (match for match in map(_MEMORY.search, log) if match)
    return [MemoryUse(_memory_name(match[1] or match[3]), _kind(match[2])) for match in found]


def _memory_name(name: str) -> str:
    return module_of(name + ".cell")


def _kind(cell: str | None) -> str:
    if cell is None:
        return "registers"
    return "distributed" if _DISTRIBUTED.search(cell) else "block"


def load_netlist(folder: Path) -> dict[str, Any]:
    netlist: dict[str, Any] = json.loads((folder / NETLIST).read_text())
    return netlist


def store_netlist(netlist: dict[str, Any], folder: Path) -> None:
    (folder / NETLIST).write_text(json.dumps(netlist))


def load_log(folder: Path) -> list[str]:
    return (folder / LOG).read_text().splitlines()
