"""The simulator of the accelerator with planted faults, built once for each netlist and set of mutants."""

from dataclasses import dataclass
from pathlib import Path

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.aside import Aside
from arrayloom.sim.rtl.build import VERILOG, Build
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.compile import LIBRARY, compile_library, library_digest
from arrayloom.sim.rtl.design import MUTANTS, accelerator
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import Report
from arrayloom.sim.rtl.runtime import produce_runtime
from arrayloom.sim.rtl.toolchain import find_toolchain
from arrayloom.sim.rtl.verilog import flattened, to_verilog
from arrayloom.sim.rtl.widen import widen
from benchmarks.mutation.acting import add_acting
from benchmarks.mutation.late import add_late
from benchmarks.mutation.plant import Mutant, draw_mutants, plant


@dataclass(frozen=True)
class Planted:
    """A build with faults.

    Attributes
    ----------
    build
        The build; no fault is active unless ``mutant`` selects one.
    mutants
        The planted faults.
    netlist
        The netlist with all faults, in Yosys's JSON.
    """

    build: Build
    mutants: list[Mutant]
    netlist: str


def planted(config: Config, count: int, seed: int, units: tuple[str, ...], report: Report) -> Planted:
    """The accelerator of that configuration with ``count`` faults in those units.

    Raises ``ToolError`` if a tool is missing and ``BuildError`` if one fails.
    """
    design, store, toolchain = accelerator(config), Cache(default_cache()), find_toolchain()
    report(f"elaborate {design.name}, draw {count} faults and plant them")
    with flattened(design.make()) as folder:
        mutants = draw_mutants(folder, count, seed, units)
        netlist = plant(folder, mutants)
        verilog = folder / VERILOG
        verilog.write_text(_simulated(folder, netlist, len(mutants)))
        with Aside(lambda stop: produce_runtime(MUTANTS, toolchain, store, report, stop)) as runtime:
            def make(place: Path, report: Report) -> None:
                report(f"build the simulator with {len(mutants)} faults")
                compile_library(verilog, place, design, MUTANTS, toolchain, runtime, report)

            library = store.produce("mutants", library_digest(verilog, design, MUTANTS, toolchain), make, report) / LIBRARY
    return Planted(Build(library, verilog, design.word_bytes, MUTANTS), mutants, netlist)


def _simulated(folder: Path, text: str, faults: int) -> str:
    """Verilog of a netlist that reports which faults have an effect, with registers on both edges; ``folder`` is
    overwritten."""
    netlist = Netlist(text)
    add_acting(netlist, faults)
    add_late(netlist)
    widen(netlist)
    return to_verilog(netlist, folder)
