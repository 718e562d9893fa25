"""All steps of a synthesis: accelerator, netlist, placed and routed design, figures."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis import hard_registers, nextpnr, yosys
from arrayloom.host.analysis.synthesis.families import ECP5, FAMILIES, TOP, Device, Family
from arrayloom.host.analysis.synthesis.nextpnr import Segment, segments
from arrayloom.host.analysis.synthesis.tools import NEXTPNR, YOSYS
from arrayloom.host.analysis.synthesis.yosys import MemoryUse
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.process import Report
from arrayloom.sim.rtl.toolchain import converter_versions


@dataclass(frozen=True)
class Usage:
    """Used and available number of a resource; None: not known yet."""

    used: int
    available: int | None


@dataclass(frozen=True)
class Route:
    """The clock reached by placement and routing from one seed."""

    seed: int
    clock_mhz: float


@dataclass(frozen=True)
class Synthesis:
    """The results of a synthesis.

    ``usage``: by resource; ``units``: by unit and resource (before placement, which adds LUTs as wires); ``memories``:
    the implementation of each; ``hard_registers``: register bits inside multiplier and memory blocks;
    ``routes``: one per seed, empty if the device is only mapped; ``critical_path``: of the fastest route, from its first to
    its last register; ``seconds``: by tool.
    """

    config: Config
    device: str
    target: str
    target_mhz: float
    routes: list[Route]
    usage: dict[str, Usage]
    units: dict[str, dict[str, int]]
    memories: list[MemoryUse]
    hard_registers: int
    critical_path: list[Segment]
    seconds: dict[str, float]
    versions: dict[str, str]

    @property
    def best(self) -> Route | None:
        """The fastest route, to which usage and path belong."""
        return _fastest(self.routes)

    @property
    def median_mhz(self) -> float | None:
        """The median clock of all seeds."""
        return statistics.median(route.clock_mhz for route in self.routes) if self.routes else None

    @property
    def array_multipliers(self) -> int:
        """DSP blocks in the array; ``config.multipliers`` if every product is in one."""
        return self.units.get("array", {}).get("multipliers", 0)

    @property
    def critical_path_ns(self) -> float:
        return sum(part.logic_ns + part.routing_ns for part in self.critical_path)

    @property
    def faults(self) -> list[str]:
        """Resources that do not fit, and parts in the wrong place: products outside DSP blocks, memories in registers."""
        found = [f"{memory.name}: a memory became registers" for memory in self.memories
                 if memory.kind == "registers" and not FAMILIES[self.target].keeps_few_words]
        if self.array_multipliers < self.config.multipliers:
            found.append(f"array: {self.array_multipliers} of {self.config.multipliers} multipliers are in DSP blocks")
        found += [f"{self.device}: has {use.available:,} {name.replace('_', ' ')}, and {use.used:,} are needed; choose a "
                  "larger --device or a smaller --config" for name, use in self.usage.items()
                  if use.available is not None and use.used > use.available]
        return found

    def figures(self) -> dict[str, Any]:
        """All figures under the names of ``--json``."""
        values, best = asdict(self), self.best
        return {**values, **values.pop("usage"), "seed": best and best.seed, "clock_mhz": best and best.clock_mhz,
                "median_mhz": self.median_mhz, "array_multipliers": self.array_multipliers, "faults": self.faults,
                "critical_path_ns": self.critical_path_ns}


def synthesize(config: Config, device: Device, seeds: Sequence[int], target_mhz: float, folder: Path,
               report: Report) -> Synthesis:
    """Runs Yosys and nextpnr on the accelerator, placed between shift registers; leaves their files in ``folder``.

    Devices that no tool here can place are only mapped.

    Raises ``SynthesisError`` if a tool is missing or fails, or the design does not fit.
    """
    from arrayloom.host.analysis.synthesis.serial_pins import SerialPins

    family, seconds = device.family, {"yosys": 0.0, "nextpnr": 0.0}
    placer = NEXTPNR.get(family.name)
    versions = {tool.wheel: tool.version() for tool in (YOSYS, placer) if tool}
    versions |= dict(text.split() for text in converter_versions())
    with _timed(seconds, "yosys"):
        yosys.synthesize(SerialPins(config), device, folder, report)
    netlist = yosys.load_netlist(folder)
    units, usage = yosys.count_cells(netlist, family), _mapped(device, yosys.count_all(netlist, family))
    moved = _move_registers(netlist, folder) if family is ECP5 else 0
    placed = {}
    for seed in seeds if placer else ():
        with _timed(seconds, "nextpnr"):
            placed[seed] = nextpnr.place(folder, device, seed, target_mhz, report)
    routes = [Route(seed, nextpnr.clock_mhz(figures)) for seed, figures in placed.items()]
    path: list[Segment] = []
    if best := _fastest(routes):
        nextpnr.keep(folder, best.seed)
        figures = placed[best.seed]
        usage, path = placed_usage(family, figures["utilization"]), segments(nextpnr.critical_path(figures))
    return Synthesis(
        config=config, device=device.name, target=family.name, target_mhz=target_mhz, routes=routes, usage=usage,
        units=units, memories=yosys.memories(yosys.load_log(folder)), hard_registers=moved, critical_path=path,
        seconds=seconds, versions=versions)


def _move_registers(netlist: dict[str, Any], folder: Path) -> int:
    """Moves registers into multiplier and memory blocks; returns the number of bits."""
    moved = hard_registers.absorb(netlist, TOP)
    yosys.store_netlist(netlist, folder)
    return moved.bits


def _fastest(routes: Sequence[Route]) -> Route | None:
    return max(routes, key=lambda route: route.clock_mhz, default=None)


def _mapped(device: Device, used: dict[str, int]) -> dict[str, Usage]:
    """Usage from Yosys's mapping, for a device whose resources are in a table."""
    return {name: Usage(used[name], available) for name, available in device.part.available.items()}


def placed_usage(family: Family, utilization: dict[str, dict[str, int]]) -> dict[str, Usage]:
    """Usage from nextpnr's report, with the cells of each resource added up."""
    return {name: Usage(sum(utilization[cell]["used"] for cell in cells if cell in utilization),
                        sum(utilization[cell]["available"] for cell in cells if cell in utilization))
            for name, cells in family.placed.items()}


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    seconds[name] += time.monotonic() - begin
