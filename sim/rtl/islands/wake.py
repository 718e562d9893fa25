"""Whether a register or a port of a memory may change at the next edge, as logic of the netlist."""

from collections.abc import Iterable
from itertools import count

from arrayloom.sim.rtl.islands.state import REGISTERS, State
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

OWN_CELLS = "$wake_cell$"
"""Prefix of the names of all cells added here."""


class Logic:
    """Adds combinational cells to a netlist; equal cells are shared."""

    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._number = count()
        self._made: dict[tuple[str, tuple[Bit, ...], tuple[Bit, ...]], Bit] = {}

    def invert(self, bit: Bit) -> Bit:
        """Not ``bit``."""
        if isinstance(bit, str):
            return "0" if bit == "1" else "1"
        return self._cell("$not", [bit])

    def both(self, left: Bit, right: Bit) -> Bit:
        """``left`` and ``right``."""
        if "0" in (left, right):
            return "0"
        if left == "1" or left == right:
            return right
        return left if right == "1" else self._cell("$and", [left], [right])

    def any(self, bits: Iterable[Bit]) -> Bit:
        """Whether one of ``bits`` is set, as a balanced tree."""
        level = [bit for bit in dict.fromkeys(bits) if bit != "0"]
        if "1" in level:
            return "1"
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [self._cell("$or", [left], [right]) for left, right in pairs] + level[len(level) & ~1:]
        return level[0] if level else "0"

    def differ(self, left: list[Bit], right: list[Bit]) -> Bit:
        """Whether two words of the same width differ."""
        pairs = [pair for pair in zip(left, right, strict=True) if pair[0] != pair[1]]
        return self._cell("$ne", *map(list, zip(*pairs, strict=True))) if pairs else "0"

    def _cell(self, kind: str, left: list[Bit], right: list[Bit] | None = None) -> Bit:
        key = (kind, tuple(left), tuple(right or ()))
        if key not in self._made:
            number = next(self._number)
            (result,) = self._netlist.add_wire(f"$wake${number}", 1)
            cell = Cell(kind, f"{OWN_CELLS}{number}", {"\\Y_WIDTH": "1"})
            for port, bits in (("A", left), ("B", right)):
                if bits is not None:
                    cell.parameters |= {f"\\{port}_SIGNED": "0", f"\\{port}_WIDTH": str(len(bits))}
                    cell.ports[port] = bits
            cell.ports["Y"] = [result]
            self._netlist.cells.append(cell)
            self._made[key] = result
        return self._made[key]


def may_change(state: State, logic: Logic, exact: bool) -> list[Bit]:
    """Bits one of which is set whenever the next edge changes ``state``.

    With ``exact`` a register counts as changing only if its new value differs from its old one; otherwise whenever it is
    enabled, which needs less logic. A register without an enable is always exact.
    """
    if state.cell.kind in REGISTERS:
        return _register(state.cell, logic, exact)
    return list(dict.fromkeys(_level(state.cell, "EN", logic, bit) for bit in state.cell.ports["EN"]))


def _register(cell: Cell, logic: Logic, exact: bool) -> list[Bit]:
    data, value = cell.ports["D"], cell.ports["Q"]
    loads = _level(cell, "EN", logic) if "EN" in cell.ports else "1"
    if exact or loads == "1":
        loads = logic.both(loads, logic.differ(data, value))
    if "SRST" not in cell.ports:
        return [loads]
    clears = _level(cell, "SRST", logic)
    if cell.kind == "$sdffce":      # the reset needs the enable too
        return [logic.both(_level(cell, "EN", logic), logic.any([clears, logic.differ(data, value)]))]
    if exact:
        loads = logic.both(loads, logic.invert(clears))
    return [loads, logic.both(clears, logic.differ(value, reset_value(cell)))]


def reset_value(cell: Cell) -> list[Bit]:
    """The reset value, lowest bit first, of a register with a synchronous reset; an ``x`` is treated as 0."""
    text = cell.parameters["\\SRST_VALUE"]
    digits = text.partition("'")[2] or f"{int(text):b}"
    return list(digits[::-1].replace("x", "0").ljust(len(cell.ports["Q"]), "0"))


def _level(cell: Cell, port: str, logic: Logic, bit: Bit | None = None) -> Bit:
    """The bit of a control input, inverted if the input is active low."""
    value = cell.ports[port][0] if bit is None else bit
    return value if cell.parameters.get(f"\\{port}_POLARITY", "1").endswith("1") else logic.invert(value)
