"""Makes all widths in Verilog explicit.

Amaranth and Yosys give operands and results of one operation different widths, and leave it to Verilog's rules to extend
them. The value is right, but a lint tool cannot distinguish this from a mistake, and warns hundreds of times. Here every
operand is extended explicitly, so any remaining warning is a mistake. Products keep their operands' widths, by which
synthesis chooses multipliers.
"""

from collections import defaultdict

from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.widen import connect, drop_unread, is_signed, operands

SUMS = {"$add", "$sub", "$neg"}
COMPARISONS = {"$eq", "$ne", "$lt", "$le", "$gt", "$ge"}
SHIFTS = {"$shl", "$shr", "$shift"}


def write_out_widths(netlist: Netlist) -> None:
    """Changes the netlist in place; the values of ports and registers stay the same."""
    drop_unread(netlist)
    _fit_wires(netlist)
    netlist.cells = [_without_not_of_many(cell) for cell in netlist.cells]
    for index, cell in enumerate(netlist.cells):
        if cell.kind in SUMS:
            _resize(cell, len(cell.ports["Y"]))
        elif cell.kind in COMPARISONS:
            _resize(cell, max(len(cell.ports[port]) for port in operands(cell)))
        elif cell.kind in SHIFTS:
            _resize_shift(netlist, cell, f"$shifted${index}")


def _fit_wires(netlist: Netlist) -> None:
    """Trims undriven and unread bits of unnamed wires."""
    used: dict[str, set[int]] = defaultdict(set)
    for bit in netlist.connected_bits():
        if isinstance(bit, tuple) and bit[0].startswith("$"):
            used[bit[0]].add(bit[1])
    fitting: dict[Bit, Bit] = {}
    for name, indices in used.items():
        if len(indices) < len(netlist.wire(name)):
            left: list[Bit] = [(name, index) for index in sorted(indices)]
            fitting |= dict(zip(left, netlist.add_wire(f"$fitting{name}", len(left)), strict=True))
    netlist.replace(fitting)
    netlist.connections = [([fitting.get(bit, bit) for bit in target], source) for target, source in netlist.connections]


def _resize(cell: Cell, width: int) -> None:
    signed = is_signed(cell)
    for port in operands(cell):
        bits = cell.ports[port]
        if len(bits) != width:
            connect(cell, port, _extended(bits, width, signed))


def _resize_shift(netlist: Netlist, cell: Cell, name: str) -> None:
    """The shifted operand and the result get the width of the wider one; the distance keeps its own."""
    value, result = cell.ports["A"], cell.ports["Y"]
    connect(cell, "A", _extended(value, max(len(value), len(result)), cell.parameters["\\A_SIGNED"] != "0"))
    if len(result) < len(value):
        wide = netlist.add_wire(name, len(value))
        netlist.connections.append((result, wide[:len(result)]))
        connect(cell, "Y", wide)


def _extended(bits: list[Bit], width: int, signed: bool) -> list[Bit]:
    fill: Bit = bits[-1] if signed else "0"
    return [*bits[:width], *[fill] * (width - len(bits))]


def _without_not_of_many(cell: Cell) -> Cell:
    """Replaces a logical negation of several bits by a comparison with zero."""
    bits = cell.ports.get("A", [])
    if cell.kind != "$logic_not" or len(bits) == 1:
        return cell
    made = Cell("$eq", cell.name, {"\\A_SIGNED": "0", "\\B_SIGNED": "0", "\\Y_WIDTH": cell.parameters["\\Y_WIDTH"]},
                {"Y": cell.ports["Y"]}, cell.attributes)
    connect(made, "A", bits)
    connect(made, "B", ["0"] * len(bits))
    return made
