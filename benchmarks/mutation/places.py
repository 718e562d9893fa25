"""Locates cells of the flat netlist: their unit, and the nearest named signal that they drive."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator

from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

UNITS = ("control", "fetch", "issue", "load", "array", "post", "store", "scratchpad", "bus", "weight_fifo", "top")

_UNIT_OF_INSTANCE = {
    "control": "control", "slave": "control", "windows": "control", "fetch": "fetch", "load_issue": "issue",
    "array_issue": "issue", "post_issue": "issue", "store_issue": "issue", "load": "load", "array": "array", "post": "post",
    "store": "store", "memory": "scratchpad", "bus": "bus", "weights": "weight_fifo"}
_NUMBER = re.compile(r"\$\d+")
_MARKS = re.compile(r"^\$flatten|[\\$]")


class Places:
    """Units and signals of the cells of ``netlist``."""

    def __init__(self, netlist: Netlist) -> None:
        self._readers: dict[Bit, list[Cell]] = defaultdict(list)
        self._targets: dict[Bit, list[Bit]] = defaultdict(list)
        for cell in netlist.cells:
            for bit in cell.read_bits():
                self._readers[bit].append(cell)
        for targets, sources in netlist.connections:
            for target, source in zip(targets, sources, strict=True):
                self._targets[source].append(target)

    def signal(self, cell: Cell, port: str, bit: int) -> str:
        """The nearest named signal driven by the port's bit, with the bit; generated numbers, which any edit changes, are
        left out."""
        if "\\MEMID" in cell.parameters:
            return _plain(cell.parameters["\\MEMID"].strip('"').replace("\\\\", "\\"))
        driven = [cell.ports[port][bit]] if cell.drives(port) else [each for name in cell.ports if cell.drives(name)
                                                                     for each in cell.ports[name]]
        return next(self._named(driven), "")

    def unit(self, cell: Cell) -> str:
        """The unit that contains the cell; ``top`` if it is between units."""
        paths = [cell.name, cell.attributes.get("\\unit", "").strip('"')]
        paths += [bit[0] for name in cell.ports if cell.drives(name) for bit in cell.ports[name] if isinstance(bit, tuple)]
        for path in paths:
            if found := _UNIT_OF_INSTANCE.get(_plain(path).split(".")[0]):
                return found
        signal = self.signal(cell, next(iter(cell.ports)), 0)
        return _UNIT_OF_INSTANCE.get(signal.split(".")[0], "top")

    def _named(self, bits: list[Bit]) -> Iterator[str]:
        """Named signals reached by the bits, the nearest first, not through registers."""
        seen, waiting = set(bits), deque(bits)
        while waiting:
            bit = waiting.popleft()
            if isinstance(bit, tuple) and _is_named(bit[0]):
                yield f"{_plain(bit[0])}[{bit[1]}]"
            driven = [each for reader in self._readers[bit] for name in reader.ports if reader.drives(name)
                      for each in reader.ports[name]]
            for each in [*self._targets[bit], *driven]:
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)


def _is_named(wire: str) -> bool:
    return wire.startswith("\\") and "procmux" not in wire


def _plain(name: str) -> str:
    return _MARKS.sub("", _NUMBER.sub("", name))
