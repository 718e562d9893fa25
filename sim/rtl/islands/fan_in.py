"""The islands on whose state a bit depends through combinational logic."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from arrayloom.sim.rtl.islands.state import READ, WRITE
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

Islands = int
"""A set of islands: bit k stands for island k."""


class FanIn:
    """Fan-in queries for one netlist; ``island_of`` maps the ``id`` of each clocked cell to its island."""

    def __init__(self, netlist: Netlist, island_of: Mapping[int, int]) -> None:
        self._island_of = island_of
        self._drivers: dict[Bit, Cell] = {}
        self._aliases: dict[Bit, Bit] = {}
        self._writers: dict[str, Islands] = defaultdict(int)
        self._known: dict[int, Islands] = {}
        for target, source in netlist.connections:
            self._aliases.update(zip(target, source, strict=True))
        for cell in netlist.cells:
            for port, bits in cell.ports.items():
                if cell.drives(port):
                    self._drivers.update(dict.fromkeys(bits, cell))
            if cell.kind == WRITE:
                self._writers[cell.parameters["\\MEMID"]] |= 1 << island_of[id(cell)]

    def of(self, bits: Iterable[Bit]) -> Islands:
        """The islands on which ``bits`` depend."""
        result = 0
        for driver in self._drivers_of(bits):
            result |= self._cell(driver)
        return result

    def _drivers_of(self, bits: Iterable[Bit]) -> list[Cell]:
        found = {}
        for bit in bits:
            while bit in self._aliases:
                bit = self._aliases[bit]
            if bit in self._drivers:
                driver = self._drivers[bit]
                found[id(driver)] = driver
        return list(found.values())

    def _cell(self, cell: Cell) -> Islands:
        """Depth first without recursion: chains of logic are longer than Python's stack is deep."""
        pending = [(cell, False)]
        while pending:
            current, inputs_known = pending.pop()
            if id(current) in self._known:
                continue
            if id(current) in self._island_of:
                self._known[id(current)] = 1 << self._island_of[id(current)]
                continue
            inputs = self._drivers_of(current.read_bits())
            if inputs_known:
                result = self._writers.get(current.parameters["\\MEMID"], 0) if current.kind == READ else 0
                for driver in inputs:
                    result |= self._known[id(driver)]
                self._known[id(current)] = result
            else:
                pending.append((current, True))
                pending += [(driver, False) for driver in inputs]
        return self._known[id(cell)]
