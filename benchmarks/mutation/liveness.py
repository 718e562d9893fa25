"""Finds dead state: bits that can never influence an output, in any number of cycles."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from arrayloom.sim.rtl.islands.state import READ, REGISTERS, WRITE
from arrayloom.sim.rtl.logic import RIPPLING
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

BITWISE = {"$and", "$or", "$xor", "$xnor", "$not", "$mux"}
"""Bitwise cells: each bit of ports A and B affects only the same bit of the result."""

Column = tuple[str, int]    # a memory, and a bit of its words


def live_bits(netlist: Netlist, source: Callable[[Bit], Bit]) -> tuple[set[Bit], set[Column]]:
    """Bits and memory columns that can influence an output; ``source`` maps a bit to its driver."""
    return _Liveness(netlist, source).found()


class _Liveness:
    def __init__(self, netlist: Netlist, source: Callable[[Bit], Bit]) -> None:
        self._source = source
        self._drivers: dict[Bit, tuple[Cell, str, int]] = {}
        self._writers: dict[str, list[Cell]] = defaultdict(list)
        for cell in netlist.cells:
            if cell.kind == WRITE:
                self._writers[cell.parameters["\\MEMID"]].append(cell)
            for port, bits in cell.ports.items():
                if cell.drives(port):
                    self._drivers |= {bit: (cell, port, place) for place, bit in enumerate(bits)}
        self._waiting: list[Bit] = [source(bit) for bit in netlist.output_bits()]

    def found(self) -> tuple[set[Bit], set[Column]]:
        bits, columns = set(self._waiting), set[Column]()
        while self._waiting:
            bit = self._waiting.pop()
            if bit not in self._drivers:
                continue
            cell, _, place = self._drivers[bit]
            reads = list(self._reads(cell, place))
            if cell.kind == READ and (column := (cell.parameters["\\MEMID"], place)) not in columns:
                columns.add(column)
                reads += [read for writer in self._writers[column[0]] for read in self._written(writer, place)]
            fresh = {self._source(read) for read in reads} - bits
            bits |= fresh
            self._waiting += fresh
        return bits, columns

    @staticmethod
    def _reads(cell: Cell, place: int) -> Iterator[Bit]:
        """The bits that influence that bit of the cell's output."""
        own = ("D",) if cell.kind in REGISTERS else ("A", "B") if cell.kind in BITWISE | RIPPLING else ()
        for port, bits in cell.ports.items():
            if cell.drives(port) or port == "CLK":
                continue
            if port not in own:
                yield from bits
            elif cell.kind in RIPPLING:
                yield from bits[:place + 1]
            elif place < len(bits):
                yield bits[place]
            else:
                yield bits[-1]      # the sign

    @staticmethod
    def _written(writer: Cell, place: int) -> Iterator[Bit]:
        yield from writer.ports["ADDR"]
        yield writer.ports["DATA"][place]
        yield writer.ports["EN"][place]
