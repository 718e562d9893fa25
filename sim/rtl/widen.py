"""Changes arithmetic to the widths of a processor.

Amaranth makes each sum a bit wider than its operands, and each product as wide as both. Compiled by Verilator, a width
other than 32 or 64 bits costs a mask after the operation and a sign extension before the next; in a systolic array that
is most of the work. Two value-preserving steps avoid it:

1. unread bits are not computed: a 33-bit sum of which 32 bits are used becomes a 32-bit sum;
2. a narrower signed result is computed in 32 (or 64) bits, and signed readers of all its bits use it directly.
"""

from collections import Counter

from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

LOW_BITS = {"$add", "$sub", "$mul", "$neg"}
"""Operations whose lowest n bits depend on the lowest n bits of the operands."""
SIGNED_READERS = LOW_BITS | {"$lt", "$le", "$gt", "$ge", "$eq", "$ne"}
MACHINE_WIDTHS = (32, 64)


def widen(netlist: Netlist) -> None:
    """Changes the netlist in place; the values of ports and registers stay the same."""
    drop_unread(netlist)
    wide = _widen_results(netlist)
    for cell in netlist.cells:
        if cell.kind in SIGNED_READERS and is_signed(cell):
            for port in operands(cell):
                core = _without_sign_copies(cell.ports[port])
                if tuple(core) in wide:
                    connect(cell, port, wide[tuple(core)])
    netlist.replace({old: new for narrow, bits in wide.items() for old, new in zip(narrow, bits, strict=False)})


def drop_unread(netlist: Netlist) -> None:
    """Trims unread upper bits of results, and the corresponding bits of operands."""
    reads = Counter(netlist.kept_bits())
    drivers: dict[Bit, Cell] = {}
    for cell in netlist.cells:
        reads.update(cell.read_bits())
        if cell.kind in LOW_BITS:
            drivers.update(dict.fromkeys(cell.ports["Y"], cell))
    waiting = [cell for cell in netlist.cells if cell.kind in LOW_BITS]
    while waiting:
        cell = waiting.pop()
        width = max((index + 1 for index, bit in enumerate(cell.ports["Y"]) if reads[bit]), default=0)
        if not width or width == len(cell.ports["Y"]):
            continue
        connect(cell, "Y", cell.ports["Y"][:width])
        for port in operands(cell):
            dropped = cell.ports[port][width:]
            if dropped:
                connect(cell, port, cell.ports[port][:width])
                reads.subtract(dropped)
                waiting += [drivers[bit] for bit in dropped if bit in drivers]


def _widen_results(netlist: Netlist) -> dict[tuple[Bit, ...], list[Bit]]:
    """Gives each result a separate wire, wider if possible; returns a map from old to new bits."""
    wide: dict[tuple[Bit, ...], list[Bit]] = {}
    ports = set(netlist.output_bits())
    for cell in netlist.cells:
        if cell.kind in LOW_BITS and ports.isdisjoint(cell.ports["Y"]):
            narrow = cell.ports["Y"]
            wide[tuple(narrow)] = bits = netlist.add_wire(f"$result${len(wide)}", _best_width(cell))
            connect(cell, "Y", bits)
    return wide


def _best_width(cell: Cell) -> int:
    """The processor's width for a signed result, else its own width."""
    width = len(cell.ports["Y"])
    if not is_signed(cell) or width < _natural_width(cell):
        return width
    return next((better for better in MACHINE_WIDTHS if better >= width), width)


def _natural_width(cell: Cell) -> int:
    """The number of bits that represent every result."""
    widths = [len(_without_sign_copies(cell.ports[port])) for port in operands(cell)]
    return sum(widths) if cell.kind == "$mul" else max(widths) + 1


def operands(cell: Cell) -> list[str]:
    """Names of the operation's inputs."""
    return [port for port in ("A", "B") if port in cell.ports]


def is_signed(cell: Cell) -> bool:
    """Whether all operands are signed, which a signed operation requires."""
    return all(int(cell.parameters[f"\\{port}_SIGNED"]) for port in operands(cell))


def _without_sign_copies(bits: list[Bit]) -> list[Bit]:
    """The operand without the copies of its sign bit on top."""
    end = len(bits)
    while end > 1 and bits[end - 1] == bits[end - 2]:
        end -= 1
    return bits[:end]


def connect(cell: Cell, port: str, bits: list[Bit]) -> None:
    """Connects a port to other bits, possibly a different number."""
    cell.ports[port] = bits
    cell.parameters[f"\\{port}_WIDTH"] = str(len(bits))
