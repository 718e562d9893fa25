"""The state of a flat netlist: its registers, and the clocked ports of its memories."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

REGISTERS = {"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"}
"""Kinds of registers on one clock; of these alone, Yosys makes what Amaranth writes."""
READ, WRITE = "$memrd_v2", "$memwr_v2"
_OTHER_STATE = re.compile(r"(ff|latch|^\$_?sr|^\$fsm)")
"""Names of kinds that keep state without a port CLK."""
CLOCK = ("\\clk", 0)


@dataclass(frozen=True)
class State:
    """One register, or one clocked port of a memory.

    Attributes:
        cell: in the netlist.
        unit: dotted path of the module that described it; empty for the top.
        name: of the register or memory inside the unit, as Amaranth made it unique.
    """

    cell: Cell
    unit: str
    name: str

    @property
    def key(self) -> str:
        """Unit and name with ``*`` for each index, so that one key stands for the same register of all rows and lanes."""
        return re.sub(r"(?<=_)\d+(?=[_./$]|$)", "*", re.sub(r"\$\d+(?=[./])", "", f"{self.unit}/{self.name}"))


def find_state(netlist: Netlist) -> Iterator[State]:
    """Every cell of ``netlist`` that acts on the clock, in order.

    Raises ``BuildError`` for one that acts in another way than on the rising edge of ``clk``, as a latch does.
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
    """Value of a parameter that is a number or a constant of the netlist's format."""
    return int(parameter.partition("'")[2] or parameter, 2)
