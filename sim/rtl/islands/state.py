"""The state of a flat netlist: its registers, and the clocked ports of its memories."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

REGISTERS = {"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"}
"""Kinds of registers on one clock; Yosys creates only these from Amaranth's output."""
READ, WRITE = "$memrd_v2", "$memwr_v2"
_OTHER_STATE = re.compile(r"(ff|latch|^\$_?sr|^\$fsm)")
"""Kinds of cells with state but without a port CLK."""
CLOCK = ("\\clk", 0)


@dataclass(frozen=True)
class State:
    """One register, or one clocked port of a memory.

    Attributes
    ----------
    cell
        The cell in the netlist.
    unit
        Dotted path of its module; empty for the top.
    name
        Name of the register or memory in the unit, made unique by Amaranth.
    """

    cell: Cell
    unit: str
    name: str

    @property
    def key(self) -> str:
        """Unit and name with ``*`` for each index: one key for the same register of all rows and lanes."""
        return re.sub(r"(?<=_)\d+(?=[_./$]|$)", "*", re.sub(r"\$\d+(?=[./])", "", f"{self.unit}/{self.name}"))


def find_state(netlist: Netlist) -> Iterator[State]:
    """Every clocked cell of ``netlist``, in order.

    Raises ``BuildError`` for a cell with state that does not use the rising edge of ``clk``, such as a latch.
    """
    for cell in netlist.cells:
        if cell.kind in REGISTERS:
            yield _state(cell, _wire_name(cell.ports["Q"][0]))
        elif cell.kind == WRITE or (cell.kind == READ and _number(cell.parameters["\\CLK_ENABLE"])):
            yield _state(cell, cell.parameters["\\MEMID"].strip('"').replace("\\\\", "\\"))
        elif cell.kind != READ and ("CLK" in cell.ports or _OTHER_STATE.search(cell.kind)):
            raise BuildError(f"the design has a {cell.kind} ({cell.name}): only registers on the rising edge of a clock can "
                             "be simulated")


def _state(cell: Cell, name: str) -> State:
    if not cell.parameters.get("\\CLK_POLARITY", "1").endswith("1"):
        raise BuildError("the design uses the falling edge of a clock: only rising edges can be simulated")
    if cell.ports["CLK"] != [CLOCK]:
        clock = cell.ports["CLK"][0][0].removeprefix("\\")
        raise BuildError(f"{name} acts on the clock {clock}: only designs of one clock, clk, can be simulated")
    unit = cell.attributes.get("\\unit", '""').strip('"')
    plain = name.removeprefix("\\").removeprefix("$flatten").replace("\\", "")
    return State(cell, unit, plain.removeprefix(f"{unit}."))


def _wire_name(bit: Bit) -> str:
    if isinstance(bit, str):
        raise BuildError("a register drives a constant")
    return bit[0]


def _number(parameter: str) -> int:
    """The value of a parameter given as a number or as a constant in the netlist's format."""
    return int(parameter.partition("'")[2] or parameter, 2)
