"""The boundary between logic and state: whether registers and memory ports distinguish two copies of their inputs."""

from collections.abc import Callable, Iterator, Set

from arrayloom.sim.rtl.islands.query import Query
from arrayloom.sim.rtl.islands.state import READ, REGISTERS, WRITE
from arrayloom.sim.rtl.netlist import Bit, Cell
from benchmarks.mutation.liveness import Column

IS_STATE = REGISTERS | {READ, WRITE}


class Obligations:
    """Differences in state between copies of ``query``'s bits with and without a fault.

    ``other``: the faulty copy of a bit; ``may_differ``: bits with such a copy; ``source``: the driver of a bit;
    ``live``: bits and memory columns that are read.
    """

    def __init__(self, query: Query, other: Callable[[Bit], Bit], may_differ: Set[Bit], source: Callable[[Bit], Bit],
                 live: tuple[Set[Bit], Set[Column]]) -> None:
        self._query, self._other, self._may_differ, self._source = query, other, may_differ, source
        self._live, self._live_columns = live

    def of(self, cell: Cell) -> Iterator[Bit]:
        """Bits that are 1 if the cell's next state or inputs differ."""
        if cell.kind in REGISTERS:
            places = [place for place, bit in enumerate(cell.ports["Q"]) if self._source(bit) in self._live]
            if places:
                yield self._chosen(places, self._next(cell, False), self._next(cell, True))
            return
        memory = cell.parameters["\\MEMID"]
        places = [place for place in range(len(cell.ports["DATA"])) if (memory, place) in self._live_columns]
        if not places:
            return
        if cell.kind == READ and cell.parameters["\\CLK_ENABLE"] in ("0", "1'0"):
            yield from self._differ(cell, "ADDR")
        elif cell.kind == READ:
            yield from self._differ(cell, "EN", "ARST", "SRST")
            yield self._query.differ(self._gated(cell, "ADDR", False), self._gated(cell, "ADDR", True))
        else:
            yield self._chosen(places, self._bits(cell, "EN", False), self._bits(cell, "EN", True))
            yield self._query.differ(self._gated(cell, "ADDR", False), self._gated(cell, "ADDR", True))
            yield self._chosen(places, self._gated(cell, "DATA", False), self._gated(cell, "DATA", True))

    def _chosen(self, places: list[int], without: list[Bit], faulty: list[Bit]) -> Bit:
        """Whether any of the bits at those places differs."""
        return self._query.differ([without[place] for place in places], [faulty[place] for place in places])

    def _bits(self, cell: Cell, port: str, faulty: bool) -> list[Bit]:
        bits = cell.ports[port]
        return [self._query.bit(self._other(bit) if faulty else bit) for bit in bits]

    def _differ(self, cell: Cell, *ports: str) -> Iterator[Bit]:
        for port in ports:
            if any(self._source(bit) in self._may_differ for bit in cell.ports[port]):
                yield self._query.differ(self._bits(cell, port, False), self._bits(cell, port, True))

    def _next(self, cell: Cell, faulty: bool) -> list[Bit]:
        """The register's value after the edge."""
        value, held = self._bits(cell, "D", faulty), self._bits(cell, "Q", False)
        if cell.kind in ("$dffe", "$sdffce", "$sdffe"):
            enable = self._level(cell, "EN", faulty)
        if cell.kind == "$dffe":
            return self._mux(enable, held, value)
        if cell.kind == "$dff":
            return value
        constant = self._constant(cell)
        restart = self._level(cell, "SRST", faulty)
        if cell.kind == "$sdff":
            return self._mux(restart, value, constant)
        if cell.kind == "$sdffe":
            return self._mux(restart, self._mux(enable, held, value), constant)
        return self._mux(enable, held, self._mux(restart, value, constant))

    def _level(self, cell: Cell, port: str, faulty: bool) -> Bit:
        bit = self._bits(cell, port, faulty)[0]
        return bit if cell.parameters[f"\\{port}_POLARITY"] in ("1", "1'1") else self._query.invert(bit)

    def _constant(self, cell: Cell) -> list[Bit]:
        text, width = cell.parameters["\\SRST_VALUE"], len(cell.ports["D"])
        if "'" not in text:
            return [str(int(text) >> bit & 1) for bit in range(width)]
        return [bit if bit == "1" else "0" for bit in text.split("'")[1][::-1]]

    def _gated(self, cell: Cell, port: str, faulty: bool) -> list[Bit]:
        """The relevant bits of the port: data bits that are written, and the address if the port is enabled."""
        enables, value = self._bits(cell, "EN", faulty), self._bits(cell, port, faulty)
        if port == "DATA":
            return self._cell("$and", A=enables, B=value)
        return self._mux(self._query.any(enables), ["0"] * len(value), value)

    def _mux(self, select: Bit, no: list[Bit], yes: list[Bit]) -> list[Bit]:
        return self._query.cell("$mux", {"\\WIDTH": str(len(no))}, len(no), A=no, B=yes, S=[select])

    def _cell(self, kind: str, **ports: list[Bit]) -> list[Bit]:
        width = len(ports["A"])
        parameters = {"\\Y_WIDTH": str(width)}
        for port in ports:
            parameters |= {f"\\{port}_SIGNED": "0", f"\\{port}_WIDTH": str(width)}
        return self._query.cell(kind, parameters, width, **ports)
