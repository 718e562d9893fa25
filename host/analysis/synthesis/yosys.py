"""From Amaranth to a netlist of the device's cells by Yosys, and which parts of the accelerator use them for what."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis.tools import YOSYS, stage_reporter
from arrayloom.sim.rtl.process import Report

TOP = "top"
VERILOG, NETLIST = "design.v", "netlist.json"
LOG = "yosys.log"
# Between two LUTs of a device that is a quarter full; synth_ecp5 by itself reckons with 300, and saves LUTs where depth
# is what counts.
WIRE_PS = 800


MULTIPLIER, BLOCK_RAM, DISTRIBUTED_RAM, REGISTER = "MULT18X18D", "DP16KD", "TRELLIS_DPR16X4", "TRELLIS_FF"
KINDS = {"multipliers": (MULTIPLIER,), "block_rams": (BLOCK_RAM,), "registers": (REGISTER,),
         "luts": ("LUT4", "CCU2C", DISTRIBUTED_RAM)}
LUTS_IN = {"LUT4": 1, "CCU2C": 2, DISTRIBUTED_RAM: 4}      # of one cell; writing takes two more of a distributed RAM

WRAPPER = "wrapper"
UNNAMED = "unnamed"
ROOT = "accelerator"        # the instance that is looked into
_MODULE = re.compile(r"[A-Za-z_]\w*")

STAGES = {rf"\d[\d.]*\. Executing {name} pass": stage for name, stage in (
    ("HIERARCHY", "reading"), ("FLATTEN", "flattening"), ("MEMORY_LIBMAP", "mapping memories"), ("ABC9", "mapping logic"))}
_MEMORY = re.compile(r"mapping memory \w+\.(\S+) via \$__(\w+)|using FF mapping for memory \w+\.(\S+)")


@dataclass(frozen=True)
class MemoryUse:
    """What a memory became: ``kind`` is block, distributed or registers."""

    name: str
    kind: str


def synthesize(component: Any, folder: Path, report: Report) -> None:
    """Writes ``design.v`` and ``netlist.json`` into ``folder``; raises ``SynthesisError`` when Yosys fails."""
    from arrayloom.sim.rtl.verilog import write_verilog

    report("writing Verilog")
    write_verilog(component, folder / VERILOG, TOP, hierarchy=True)
    script = f"read_verilog {VERILOG}; {mapping(TOP, '-no-rw-check')}; write_json {NETLIST}"
    YOSYS.run(["-l", LOG, "-p", script], folder, stage_reporter("yosys", STAGES, report))


def mapping(top: str, options: str = "") -> str:
    """The commands of Yosys that map what was read to cells of the device."""
    synth = f"synth_ecp5 {options} -top {top} -run"
    return f"{synth} begin:map_luts; abc9 -W {WIRE_PS}; clean; {synth} map_cells:edif"


def module_of(cell: str, root: str = ROOT) -> str:
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


def unit_of(cell: str, root: str = ROOT) -> str:
    """The uppermost part of ``module_of``."""
    return module_of(cell, root).partition(".")[0]


def count_cells(netlist: dict[str, Any], top: str = TOP, root: str = ROOT) -> dict[str, dict[str, int]]:
    """Multipliers, block RAMs, LUTs and registers of each unit, from Yosys's JSON netlist."""
    units: dict[str, Counter[str]] = {}
    for name, cell in netlist["modules"][top]["cells"].items():
        for resource, kinds in KINDS.items():
            if cell["type"] in kinds:
                units.setdefault(unit_of(name, root), Counter())[resource] += LUTS_IN.get(cell["type"], 1)
    return {unit: {resource: counts[resource] for resource in KINDS} for unit, counts in sorted(units.items())}


def count_all(netlist: dict[str, Any], top: str) -> dict[str, int]:
    """The same of all units together."""
    units = count_cells(netlist, top).values()
    return {resource: sum(unit[resource] for unit in units) for resource in KINDS}


def memories(log: Iterable[str]) -> list[MemoryUse]:
    """What Yosys says that it made of each memory."""
    found = (match for match in map(_MEMORY.search, log) if match)
    return [MemoryUse(_memory_name(match[1] or match[3]), _kind(match[2])) for match in found]


def _memory_name(name: str) -> str:
    return module_of(name + ".cell")


def _kind(cell: str | None) -> str:
    if cell is None:
        return "registers"
    return "block" if cell.endswith("16KD_") else "distributed"


def load_netlist(folder: Path) -> dict[str, Any]:
    netlist: dict[str, Any] = json.loads((folder / NETLIST).read_text())
    return netlist


def load_log(folder: Path) -> list[str]:
    return (folder / LOG).read_text().splitlines()
