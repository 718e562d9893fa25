"""The planted netlist as functions of its state and inputs, and what a bit reaches within a cycle."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from arrayloom.sim.rtl.logic import READ_PORT, REGISTERS, WRITE_PORT, Logic, is_clocked_read
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from benchmarks.mutation.liveness import live_bits
from benchmarks.mutation.plant import SELECTED
from benchmarks.mutation.stimuli import use_test_support

use_test_support()

from bit_logic import Graph  # noqa: E402
from netlist_logic import Multipliers, name_undefined  # noqa: E402


@dataclass(frozen=True)
class Reach:
    """``bits`` that depend on others within a cycle, and the registers and ports of memories that read them."""

    bits: set[Bit]
    state: list[Cell]


class Machine:
    """``netlist`` with its planted faults; ``selects`` are the bits that select them, by number.

    Undefined bits of the netlist get names: they are the same in every copy.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        name_undefined(netlist)
        self.logic, self.graph = Logic(netlist, {}), Graph()
        self.multipliers = Multipliers(self.graph)
        self.live, self.live_columns = live_bits(netlist, self.source)
        self.outputs = {self.source(bit): bit for bit in netlist.output_bits()}
        self.selects: dict[int, Bit] = {}
        self._readers: dict[Bit, list[Cell]] = defaultdict(list)
        for cell in netlist.cells:
            if cell.kind == "$eq" and cell.ports["A"] and cell.ports["A"][0] == (f"\\{SELECTED}", 0):
                self.selects[int("".join(str(bit) for bit in reversed(cell.ports["B"])), 2)] = cell.ports["Y"][0]
            for port, bits in cell.ports.items():
                if not cell.drives(port) and port != "CLK":
                    for bit in bits:
                        self._readers[self.source(bit)].append(cell)

    def source(self, bit: Bit) -> Bit:
        """The bit that drives this one."""
        while bit in self.logic.aliases:
            bit = self.logic.aliases[bit]
        return bit

    def reach(self, bits: Iterable[Bit]) -> Reach:
        """What depends on the bits within a cycle, themselves included."""
        seen, state = {self.source(bit) for bit in bits}, dict[int, Cell]()
        waiting = list(seen)
        while waiting:
            for cell in self._readers[waiting.pop()]:
                if cell.kind in REGISTERS or cell.kind == WRITE_PORT or is_clocked_read(cell):
                    state[id(cell)] = cell
                    continue
                fresh = set(cell.ports["DATA" if cell.kind == READ_PORT else "Y"]) - seen
                seen |= fresh
                waiting += fresh
        return Reach(seen, list(state.values()))
