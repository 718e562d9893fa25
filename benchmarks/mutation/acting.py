"""Finds the faults that have any effect in a run; the others need not be tried in it.

Each planted fault is a multiplexer between the original and the faulty bit. A register per fault records whether
the two have ever differed while no fault was selected; it is an output of the simulator (``RtlSimulator.activity``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.islands.activity import ACTIVITY_PORT
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.simulator import RtlSimulator
from benchmarks.mutation.plant import SELECTED

ACTED = "\\acted"       # suffix: the number of the fault


def add_acting(netlist: Netlist, faults: int) -> None:
    """Adds the output that ``acting`` reads, for the faults up to that number."""
    chosen = {cell.ports["Y"][0]: _number(cell) for cell in netlist.cells if _chooses(cell)}
    pairs = {chosen[cell.ports["S"][0]]: (cell.ports["A"][0], cell.ports["B"][0]) for cell in netlist.cells
             if cell.kind == "$mux" and cell.ports["S"][0] in chosen}
    none: tuple[Bit, Bit] = ("0", "0")
    as_is, as_would_be = zip(*(pairs.get(number, none) for number in range(faults + 1)), strict=True)
    width = faults + 1
    acted, differs, either = (netlist.add_wire(name, width) for name in (ACTED, "\\acts", "\\acts_or_acted"))
    netlist.cells += [bitwise("$xor", list(as_is), list(as_would_be), differs), bitwise("$or", differs, acted, either),
                      Cell("$dff", "$acted", {"\\CLK_POLARITY": "1", "\\WIDTH": str(width)},
                           {"CLK": [("\\clk", 0)], "D": either, "Q": acted})]
    netlist.add_output(ACTIVITY_PORT, acted)


def acting(build: Build, run: Callable[[Build], None]) -> set[int]:
    """Numbers of the faults that would have an effect during ``run`` on the build, in which none is selected."""
    found: set[int] = set()

    def look(simulator: RtlSimulator) -> None:
        found.update(int(number) for number in np.flatnonzero(simulator.activity()))

    run(replace(build, before_close=look))
    return found


def _chooses(cell: Cell) -> bool:
    return cell.kind == "$eq" and bool(cell.ports["A"]) and cell.ports["A"][0] == (f"\\{SELECTED}", 0)


def _number(cell: Cell) -> int:
    return int("".join(str(bit) for bit in reversed(cell.ports["B"])), 2)


def bitwise(kind: str, a: Sequence[Bit], b: Sequence[Bit], result: Sequence[Bit]) -> Cell:
    """A cell that combines two values of as many bits."""
    parameters = {"\\Y_WIDTH": str(len(result))}
    for port, bits in (("A", a), ("B", b)):
        parameters |= {f"\\{port}_SIGNED": "0", f"\\{port}_WIDTH": str(len(bits))}
    return Cell(kind, f"{kind}${_name(result)}", parameters, {"A": list(a), "B": list(b), "Y": list(result)})


def _name(result: Sequence[Bit]) -> str:
    return str(result[0][0]).lstrip("\\")
