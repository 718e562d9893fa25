"""A netlist as logic: the driver and the dependencies of each bit, and the bits that are constant under assumptions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

REGISTERS = {"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"}
READ_PORT, WRITE_PORT = "$memrd_v2", "$memwr_v2"
BITWISE = {"$and", "$or", "$xor", "$xnor", "$not"}
RIPPLING = {"$add", "$sub", "$neg", "$mul"}
"""Cells whose result bits depend on the operand bits at and below their place."""


class Logic:
    """The cells of a flat ``netlist`` by driven bit, with ``assumed`` constants propagated.

    ``assumed``: bits of registers or inputs assumed to be constant, ``0`` or ``1``.
    """

    def __init__(self, netlist: Netlist, assumed: Mapping[Bit, str]) -> None:
        self._outputs = set(netlist.output_bits())
        self.drivers: dict[Bit, tuple[Cell, int]] = {}
        self.aliases: dict[Bit, Bit] = {target: source for targets, sources in netlist.connections
                                        for target, source in zip(targets, sources, strict=True)}
        self.writers: dict[str, list[Cell]] = defaultdict(list)
        self.readers: dict[str, list[Cell]] = defaultdict(list)
        self._readers: dict[Bit, list[Cell]] = defaultdict(list)
        for cell in netlist.cells:
            self._register(cell)
        self._aliased: dict[Bit, list[Bit]] = defaultdict(list)
        for target, source in self.aliases.items():
            self._aliased[source].append(target)
        self.constants: dict[Bit, str] = {}
        self._spread(assumed)

    def value(self, bit: Bit) -> str | None:
        """``0`` or ``1`` if the bit is constant, else None; an undefined bit is not constant."""
        return self.constants.get(bit) if isinstance(bit, tuple) else (bit if bit in "01" else None)

    def is_register(self, bit: Bit) -> bool:
        """Whether the bit belongs to a register; the data of a clocked read port counts as one."""
        driver = self.drivers.get(bit)
        return driver is not None and (driver[0].kind in REGISTERS or is_clocked_read(driver[0]))

    def sources(self, bit: Bit) -> Iterator[Bit]:
        """Bits that the bit depends on directly: combinationally, or a register's next value; no constants.

        Contents of memories are left out: ``memory_of`` names the memory that a read port's bit comes from.
        """
        if bit in self.aliases:
            sources: Iterable[Bit] = [self.aliases[bit]]
        elif bit in self.drivers:
            sources = self._cell_sources(*self.drivers[bit])
        else:
            sources = []
        return (source for source in sources if isinstance(source, tuple) and self.value(source) is None)

    def memory_of(self, bit: Bit) -> str | None:
        """The memory whose column the bit reads, if it belongs to a read port."""
        cell, _ = self.drivers.get(bit, (None, 0))
        return memory_name(cell) if cell and cell.kind == READ_PORT else None

    def writing(self, memory: str, column: int) -> Iterator[Bit]:
        """Bits that determine the content of one column of a memory."""
        for cell in self.writers[memory]:
            enable = cell.ports["EN"][column]
            if self.value(enable) != "0":
                yield from (bit for bit in (cell.ports["DATA"][column], enable, *cell.ports["ADDR"])
                            if isinstance(bit, tuple) and self.value(bit) is None)

    def reached(self, bits: Iterable[Bit]) -> set[str]:
        """Wires of registers and outputs that depend combinationally on the bits, except through memory addresses."""
        waiting, seen, found = list(bits), set[Bit](), set[str]()
        while waiting:
            bit = waiting.pop()
            if bit in seen or self.value(bit) is not None:
                continue
            seen.add(bit)
            waiting += self._aliased[bit]
            if bit in self._outputs:
                found.add(bit[0])
            for cell in self._readers[bit]:
                driven = [out for port, outs in cell.ports.items() if cell.drives(port)
                          for out in outs if isinstance(out, tuple)]
                if cell.kind in REGISTERS:
                    found |= {out[0] for out in driven}
                elif cell.kind not in (READ_PORT, WRITE_PORT):
                    waiting += driven
                elif any(bit in port_bits for port, port_bits in cell.ports.items() if port != "ADDR"):
                    found.add(memory_name(cell))
        return found

    def next_value(self, bit: Bit) -> str | None:
        """The constant value of a register in the next cycle, given its constant value in this one; None if it is not
        constant."""
        cell, index = self.drivers[bit]
        reset, enable = self._control(cell, "SRST"), self._control(cell, "EN")
        if cell.kind == "$sdffce" and enable == "0":
            return self.value(bit)
        value = self.value(cell.ports["D"][index])
        values = {value} if enable == "1" else {self.value(bit)} if enable == "0" else {value, self.value(bit)}
        if reset != "0":
            restored = parameter_bits(cell, "\\SRST_VALUE")[index]
            values = {restored} if reset == "1" else values | {restored}
        return values.pop() if len(values) == 1 else None

    def _control(self, cell: Cell, port: str) -> str | None:
        """Whether a control input of a register is active: ``1``, ``0`` or unknown."""
        if port not in cell.ports:
            return "1" if port == "EN" else "0"
        value = self.value(cell.ports[port][0])
        return value if value is None or cell.parameters[f"\\{port}_POLARITY"].endswith("1") else str(1 - int(value))

    def _register(self, cell: Cell) -> None:
        if "CLK" in cell.ports and cell.kind not in REGISTERS | {READ_PORT, WRITE_PORT}:
            raise BuildError(f"the netlist has a cell of kind {cell.kind} ({cell.name}): only "
                             f"{', '.join(sorted(REGISTERS))} and ports of memories are known to keep state")
        for port, bits in cell.ports.items():
            if cell.drives(port):
                self.drivers |= {bit: (cell, index) for index, bit in enumerate(bits) if isinstance(bit, tuple)}
            else:
                for bit in bits:
                    if isinstance(bit, tuple):
                        self._readers[bit].append(cell)
        if cell.kind == WRITE_PORT:
            self.writers[memory_name(cell)].append(cell)
        if cell.kind == READ_PORT:
            self.readers[memory_name(cell)].append(cell)

    def _cell_sources(self, cell: Cell, index: int) -> Iterable[Bit]:
        ports, kind = cell.ports, cell.kind
        if kind in REGISTERS:
            if self._control(cell, "EN") == "0" and self._control(cell, "SRST") == "0":
                return []
            return [ports["D"][index], *ports.get("EN", []), *ports.get("SRST", [])]
        if kind == READ_PORT:
            return [*ports["ADDR"], *ports["EN"], *ports["ARST"], *ports["SRST"]]
        if kind in BITWISE:
            return [extended(ports[port], index) for port in operands(cell)]
        if kind == "$mux":
            chosen = self.value(ports["S"][0])
            sides = [ports[side][index] for side, choice in (("A", "0"), ("B", "1")) if chosen in (None, choice)]
            return [*sides, *ports["S"]]
        if kind == "$pmux":
            width = len(ports["Y"])
            return [ports["A"][index], *ports["S"],
                    *(ports["B"][choice * width + index] for choice, select in enumerate(ports["S"])
                      if self.value(select) != "0")]
        if kind in RIPPLING:
            return [bit for port in operands(cell) for bit in {*ports[port][:index + 1], extended(ports[port], index)}]
        return list(cell.read_bits())

    def _spread(self, assumed: Mapping[Bit, str]) -> None:
        waiting = list(assumed.items())
        while waiting:
            bit, value = waiting.pop()
            if bit in self.constants:
                continue
            self.constants[bit] = value
            waiting += [(target, value) for target in self._aliased[bit]]
            for cell in self._readers[bit]:
                if cell.kind not in REGISTERS and cell.kind not in (READ_PORT, WRITE_PORT):
                    waiting += [(out, found) for out, found in self._results(cell) if isinstance(out, tuple)]

    def _results(self, cell: Cell) -> Iterator[tuple[Bit, str]]:
        """Results of the cell that are determined by its constant inputs."""
        outs = cell.ports["Y"]
        inputs = {port: [self.value(bit) for bit in bits] for port, bits in cell.ports.items() if port != "Y"}
        if cell.kind in BITWISE:
            for index, out in enumerate(outs[:min(map(len, inputs.values()))]):
                value = _bitwise(cell.kind, [values[index] for values in inputs.values()])
                if value is not None:
                    yield out, value
        elif cell.kind == "$mux" and inputs["S"][0] is not None:
            chosen = inputs["B" if inputs["S"][0] == "1" else "A"]
            yield from ((out, value) for out, value in zip(outs, chosen, strict=True) if value is not None)
        elif cell.kind == "$pmux" and None not in inputs["S"] and inputs["S"].count("1") <= 1:
            place = inputs["S"].index("1") * len(outs) if "1" in inputs["S"] else None
            chosen = inputs["A"] if place is None else inputs["B"][place:place + len(outs)]
            yield from ((out, value) for out, value in zip(outs, chosen, strict=True) if value is not None)
        else:
            value = _reduced(cell, inputs)
            if value is not None:
                yield outs[0], value
                yield from ((out, "0") for out in outs[1:])


def extended(bits: list[Bit], index: int) -> Bit:
    """The operand's bit at that place; beyond its width, the sign bit or a constant 0."""
    return bits[min(index, len(bits) - 1)]


def operands(cell: Cell) -> list[str]:
    """Those of the ports A and B that the cell has."""
    return [port for port in ("A", "B") if port in cell.ports]


def memory_name(cell: Cell) -> str:
    """The memory that a port belongs to."""
    return cell.parameters["\\MEMID"].strip('"').replace("\\\\", "\\")


def is_clocked_read(cell: Cell) -> bool:
    """Whether the cell is a clocked read port."""
    return cell.kind == READ_PORT and cell.parameters["\\CLK_ENABLE"].endswith("1")


def parameter_bits(cell: Cell, name: str) -> str:
    """A parameter's bits, lowest first."""
    text = cell.parameters[name]
    if "'" in text:
        return text.partition("'")[2][::-1]
    return format(int(text), "0512b")[::-1]


def _bitwise(kind: str, values: list[str | None]) -> str | None:
    if kind == "$not":
        return None if values[0] is None else str(1 - int(values[0]))
    if kind in ("$and", "$or"):
        decisive = "0" if kind == "$and" else "1"
        if decisive in values:
            return decisive
        return None if None in values else str(1 - int(decisive))
    if None in values:
        return None
    return str(int((values[0] == values[1]) ^ (kind == "$xor")))


def _reduced(cell: Cell, inputs: dict[str, list[str | None]]) -> str | None:
    """The one-bit result of a reduction or comparison."""
    kind, a = cell.kind, inputs.get("A", [])
    if kind in ("$reduce_or", "$reduce_bool", "$logic_not"):
        found = "1" if "1" in a else None if None in a else "0"
        return found if kind != "$logic_not" or found is None else str(1 - int(found))
    if kind == "$reduce_and":
        return "0" if "0" in a else None if None in a else "1"
    if kind in ("$eq", "$ne"):
        b = inputs["B"]
        if len(a) != len(b) and parameter_bits(cell, "\\A_SIGNED")[0] == "1":
            return None
        pairs = list(zip_longest(a, b, fillvalue="0"))
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            return "0" if kind == "$eq" else "1"
        if any(None in pair for pair in pairs):
            return None
        return "1" if kind == "$eq" else "0"
    return None
