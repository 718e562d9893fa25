"""Converts Amaranth to Verilog that simulates fast.

Amaranth's own Verilog computes a next value for each register in each cycle. Yosys converts the branch that keeps a
value into a clock enable, which a simulator skips; this alone makes it four times as fast.
"""

import gc
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.explicit import write_out_widths
from arrayloom.sim.rtl.islands.activity import add_activity
from arrayloom.sim.rtl.islands.layout import order_clocks
from arrayloom.sim.rtl.islands.partition import trained_partition
from arrayloom.sim.rtl.islands.split import split
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import ROOT
from arrayloom.sim.rtl.widen import widen
from arrayloom.sim.rtl.yosys import run_yosys

TOP = "top"

OPTIMIZE = "opt_expr; opt_merge; opt_muxtree; opt_reduce; opt_clean; opt_dff"
"""The first round of ``opt``; further rounds take twice the time and give the same Verilog."""
FLAT = f"proc; flatten; {OPTIMIZE}; opt_clean -purge"
# tables that become memories keep their names
PLAIN = f"{FLAT.replace('proc;', 'proc -norom;')}; opt_expr -fine; opt_clean -purge"
HIERARCHICAL = f"proc; {OPTIMIZE}; opt_clean"
REMOVE_CHECKS = "delete t:$check t:$print"
"""Assertions and prints cost time in each cycle, and keep logic alive that only they read."""
PROCESSES = "proc -nomux -norom; opt_clean"
"""Keeps the source's conditions instead of multiplexers."""
NETLIST = "design.il"
WRITE_NETLIST = f"write_rtlil {NETLIST}"
WRITE = "write_verilog -norename -noattr design.v"
WRITE_PLAIN = "write_verilog -noattr design.v"


Look = Callable[[Netlist], None]
"""Called with a netlist in which registers have the same names as in the Verilog."""


def write_verilog(component: Any, path: Path, name: str = TOP, *, checks: bool = False,
                  hierarchy: bool = False, look: Look | None = None) -> None:
    """Writes ``component`` as Verilog module ``name``.

    ``checks`` keeps the assertions and prints. ``hierarchy`` keeps modules and names, for waveforms, at some cost in
    speed. Memories stay memories; one that is all zero has no initial values, which would take minutes to compile.
    ``look`` requires a flat design. Raises ``BuildError`` with Yosys's message if it refuses the design.
    """
    with TemporaryDirectory() as folder:
        _write_rtlil(component, name, Path(folder))
        run_yosys(Path(folder), *([] if checks else [REMOVE_CHECKS]),
                  HIERARCHICAL if hierarchy else FLAT, WRITE,
                  *([REMOVE_CHECKS, WRITE_NETLIST] if look else []))
        if look:
            look(Netlist((Path(folder) / NETLIST).read_text()))
        shutil.copyfile(Path(folder) / "design.v", path)


def write_plain_verilog(component: Any, path: Path, name: str = TOP) -> None:
    """Writes ``component`` as Verilog for other tools, without its assertions.

    Widths are explicit (sim/rtl/explicit.py). Unnamed signals are numbered, since some simulators do not support a
    backslash within a name. Raises ``BuildError`` with Yosys's message when it refuses the design.
    """
    with flattened(component, name, PLAIN) as folder:
        netlist = Netlist((folder / NETLIST).read_text())
        write_out_widths(netlist)
        path.write_text(_written(netlist, folder, WRITE_PLAIN))


def write_coverage_verilog(component: Any, path: Path, name: str = TOP) -> None:
    """Writes ``component`` as Verilog with modules, conditions, and the lines of the source as attributes ``src``."""
    with TemporaryDirectory() as folder:
        _write_rtlil(component, name, Path(folder), sources=True)
        run_yosys(Path(folder), REMOVE_CHECKS, PROCESSES, "write_verilog -norename design.v")
        shutil.copyfile(Path(folder) / "design.v", path)


def write_fast_verilog(component: Any, path: Path, name: str = TOP, look: Look | None = None) -> None:
    """Writes ``component`` as Verilog that simulates as fast as possible, for no other use.

    Arithmetic uses the processor's widths (sim/rtl/widen.py), and registers are divided into islands (sim/rtl/islands),
    whose layout is written next to the Verilog, and use both edges of their clocks. Raises ``BuildError`` with Yosys's
    message when it refuses the design, and for a design that uses the falling edge itself.
    """
    with widened(component, name) as (folder, netlist):
        if look:
            look(netlist)
        islands = split(netlist, trained_partition())
        text, layout = order_clocks(to_verilog(netlist, folder), islands.names, islands.activity)
        layout.write(path.parent)
        path.write_text(text)


def write_sleepless_verilog(component: Any, path: Path, name: str = TOP, look: Look | None = None) -> None:
    """Writes ``component`` as ``write_fast_verilog`` does, but with one clock for all registers, which is active in every
    cycle."""
    with widened(component, name) as (folder, netlist):
        if look:
            look(netlist)
        path.write_text(to_verilog(netlist, folder))


def write_activity_verilog(component: Any, path: Path, name: str = TOP) -> None:
    """Writes ``component`` as ``write_sleepless_verilog`` does, with an output that shows which registers change."""
    with widened(component, name) as (folder, netlist):
        add_activity(netlist)
        path.write_text(to_verilog(netlist, folder))


@contextmanager
def widened(component: Any, name: str) -> Iterator[tuple[Path, Netlist]]:
    """A working folder, and the flat netlist of ``component`` with arithmetic in the processor's widths."""
    with flattened(component, name) as folder:
        netlist = Netlist((folder / NETLIST).read_text())
        widen(netlist)
        yield folder, netlist


@contextmanager
def flattened(component: Any, name: str = TOP, steps: str = FLAT) -> Iterator[Path]:
    """A working folder, with the flat netlist of ``component`` in the file ``NETLIST``."""
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        _write_rtlil(component, name, folder)
        run_yosys(folder, REMOVE_CHECKS, steps, WRITE_NETLIST)
        yield folder


def to_verilog(netlist: Netlist, folder: Path) -> str:
    """Verilog whose registers act on both edges of the clock; ``folder`` is overwritten."""
    return _act_on_both_edges(_written(netlist, folder, WRITE))


def _written(netlist: Netlist, folder: Path, write: str) -> str:
    (folder / NETLIST).write_text(netlist.text())
    run_yosys(folder, "opt_clean -purge", write)
    return (folder / "design.v").read_text()


def _act_on_both_edges(text: str) -> str:
    if "negedge" in text:
        raise BuildError("the design uses the falling edge of a clock: only rising edges can be simulated")
    return text.replace("@(posedge ", "@(edge ")


def _write_rtlil(component: Any, name: str, folder: Path, sources: bool = False) -> None:
    from amaranth.back import rtlil

    with _without_zeros(), _without_garbage_collection():
        text = rtlil.convert(component, name=name, emit_src=sources)
    (folder / NETLIST).write_text(_name_units(text.replace(f"{ROOT}/", ""), name))


def _name_units(text: str, top: str) -> str:
    """Stores the module's path of each register and memory port in the attribute ``unit``, which flattening preserves."""
    lines, unit = [], ""
    for line in text.splitlines():
        if line.startswith("module "):
            unit = line.split()[1].removeprefix("\\").removeprefix(top).removeprefix(".")
        elif line.startswith(("  cell $dff ", "  cell $memrd_v2 ", "  cell $memwr_v2 ")):
            lines.append(f'  attribute \\unit "{unit}"')
        lines.append(line)
    return "\n".join(lines) + "\n"


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables garbage collection: Amaranth's netlist consists of millions of objects that live to the end, and repeated
    collections take a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _without_zeros() -> Iterator[None]:
    """Removes all-zero initial values: Amaranth writes each bit, which takes 20 s for 2 MiB of zeros, and then 90 s in
    Yosys."""
    from amaranth.back import rtlil

    original = getattr(rtlil.ModuleEmitter, "emit_memory", None)
    if original is None:
        raise BuildError(f"amaranth {version('amaranth')} has no ModuleEmitter.emit_memory, which is patched for "
                         "memories of zeros: install amaranth>=0.5.8,<0.6")

    def emit_memory(self: Any, cell_idx: int, cell: Any) -> None:
        if any(cell.init):
            original(self, cell_idx, cell)

    rtlil.ModuleEmitter.emit_memory = emit_memory
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_memory = original
