"""All steps of a synthesis: accelerator, netlist, placed and routed design, figures."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from arrayloom.host.analysis.synthesis import nextpnr, yosys
from arrayloom.host.analysis.synthesis.nextpnr import Device, Segment, segments
from arrayloom.host.analysis.synthesis.tools import NEXTPNR, YOSYS
from arrayloom.host.analysis.synthesis.yosys import MemoryUse
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.process import Report
from arrayloom.sim.rtl.toolchain import converter_versions

CELLS = {"multipliers": yosys.MULTIPLIER, "block_rams": yosys.BLOCK_RAM, "luts": "TRELLIS_COMB",
         "registers": yosys.REGISTER}
"""What is counted, and what nextpnr calls it; a carry or a distributed RAM takes the place of LUTs."""

T = TypeVar("T")


@dataclass(frozen=True)
class Usage:
    """So many of so many on the device; None: not known yet."""

    used: int
    available: int | None


@dataclass(frozen=True)
class Synthesis:
    """What a synthesis found.

    ``usage`` by resource, ``units`` by unit and resource (before placement, which adds LUTs as wires); ``memories`` each
    with what it became; ``critical_path`` from its first register to its last; ``seconds`` by tool.
    """

    config: Config
    device: str
    seed: int
    target_mhz: float
    clock_mhz: float
    usage: dict[str, Usage]
    units: dict[str, dict[str, int]]
    memories: list[MemoryUse]
    critical_path: list[Segment]
    seconds: dict[str, float]
    versions: dict[str, str]

    @property
    def array_multipliers(self) -> int:
        """DSP blocks in the array; as many as ``config.multipliers`` when every product is in one."""
        return self.units.get("array", {}).get("multipliers", 0)

    @property
    def critical_path_ns(self) -> float:
        return sum(part.logic_ns + part.routing_ns for part in self.critical_path)

    @property
    def faults(self) -> list[str]:
        """What did not land where it belongs: products outside of DSP blocks, memories in registers."""
        found = [f"{memory.name}: a memory became registers" for memory in self.memories if memory.kind == "registers"]
        if self.array_multipliers < self.config.multipliers:
            found.append(f"array: {self.array_multipliers} of {self.config.multipliers} multipliers are in DSP blocks")
        return found

    def figures(self) -> dict[str, Any]:
        """Everything as ``--json`` gives it."""
        values = asdict(self)
        return {**values, **values.pop("usage"), "array_multipliers": self.array_multipliers, "faults": self.faults,
                "critical_path_ns": self.critical_path_ns}


def synthesize(config: Config, device: Device, seed: int, target_mhz: float, folder: Path, report: Report) -> Synthesis:
    """Takes the accelerator, between shift registers, through Yosys and nextpnr; leaves their files in ``folder``.

    Raises ``SynthesisError`` when a tool is missing or fails, or the design does not fit the device.
    """
    from arrayloom.host.analysis.synthesis.serial_pins import SerialPins

    versions = {tool.wheel: tool.version() for tool in (YOSYS, NEXTPNR)}
    versions |= dict(text.split() for text in converter_versions())
    seconds: dict[str, float] = {}
    _timed(seconds, "yosys", lambda: yosys.synthesize(SerialPins(config), folder, report))
    placed = _timed(seconds, "nextpnr", lambda: nextpnr.place(folder, device, seed, target_mhz, report))
    path = nextpnr.critical_path(placed)
    return Synthesis(
        config=config, device=device.name, seed=seed, target_mhz=target_mhz, clock_mhz=nextpnr.clock_mhz(placed),
        usage={name: Usage(**placed["utilization"][cell]) for name, cell in CELLS.items()},
        units=yosys.count_cells(yosys.load_netlist(folder)), memories=yosys.memories(yosys.load_log(folder)),
        critical_path=segments(path), seconds=seconds, versions=versions)


def _timed(seconds: dict[str, float], name: str, action: Callable[[], T]) -> T:
    begin = time.monotonic()
    result = action()
    seconds[name] = time.monotonic() - begin
    return result
