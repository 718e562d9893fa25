"""The combinational logic of a netlist as literals of a ``Graph``, with any literals for registers and inputs."""

from collections.abc import Callable, Sequence
from functools import reduce

from bit_logic import FALSE, TRUE, Graph

from arrayloom.sim.rtl.logic import READ_PORT, REGISTERS, Logic, operands, parameter_bits
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

Leaf = Callable[[Bit], int]


class Multipliers:
    """Products as free results whose lowest n bits are equal if those of the factors are; no proof here needs more."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, list[tuple[list[list[int]], list[int]]]] = {}

    def product(self, name: str, factors: list[list[int]], width: int) -> list[int]:
        """The product of that name in one copy, as literals; each factor begins with its lowest bit."""
        graph, known = self._graph, self._known.setdefault(name, [])
        result = graph.variables(width)
        for others, other in known:
            equal = TRUE
            for index in range(width):
                for a, b in zip(factors, others, strict=True):
                    if index < len(a):
                        equal = graph.conjunction(equal, graph.difference(a[index], b[index]) ^ 1)
                if equal == TRUE:
                    result[index] = other[index]
                else:
                    graph.assert_clause([equal ^ 1, graph.difference(result[index], other[index]) ^ 1])
        known.append((factors, result))
        return result


class NetlistLogic:
    """One copy of the netlist's logic; ``leaf`` returns the literals of registers, inputs and read-port data."""

    def __init__(self, graph: Graph, logic: Logic, multipliers: Multipliers, leaf: Leaf) -> None:
        self.graph, self.logic, self._multipliers, self._leaf = graph, logic, multipliers, leaf
        self._known: dict[Bit, int] = {}

    def literal(self, bit: Bit) -> int:
        """The value of a bit in this cycle."""
        value = self.logic.value(bit)
        if value is not None:
            return TRUE if value == "1" else FALSE
        if bit not in self._known or isinstance(bit, str):
            self._compute(bit)
        return self._known[bit]

    def set(self, bit: Bit, literal: int) -> None:
        """Gives a bit a value in this copy, whatever drives it."""
        self._known[bit] = literal

    def has(self, bit: Bit) -> bool:
        """Whether the bit's value in this copy is known already."""
        return bit in self._known

    def literals(self, bits: Sequence[Bit]) -> list[int]:
        return [self.literal(bit) for bit in bits]

    def control(self, cell: Cell, port: str) -> int:
        """Whether a control input is active."""
        if port not in cell.ports:
            return TRUE if port == "EN" else FALSE
        literal = self.literal(cell.ports[port][0])
        polarity = cell.parameters.get(f"\\{port}_POLARITY", "1")
        return literal if polarity.endswith("1") else literal ^ 1

    def next(self, bit: Bit) -> int:
        """The value of a register's bit in the next cycle."""
        graph, (cell, index) = self.graph, self.logic.drivers[bit]
        held, value = self.literal(bit), self.literal(cell.ports["D"][index])
        enable, reset = self.control(cell, "EN"), self.control(cell, "SRST")
        if reset == FALSE:
            return graph.choice(enable, value, held)
        restored = parameter_bits(cell, "\\SRST_VALUE")[index]
        default = TRUE if restored == "1" else FALSE if restored == "0" else graph.variable()
        if cell.kind == "$sdffce":
            return graph.choice(enable, graph.choice(reset, default, value), held)
        return graph.choice(reset, default, graph.choice(enable, value, held))

    def _compute(self, bit: Bit) -> None:
        if bit in self.logic.aliases:
            self._known[bit] = self.literal(self.logic.aliases[bit])
            return
        cell, _ = self.logic.drivers.get(bit, (None, 0))
        if cell is None or cell.kind in REGISTERS or cell.kind == READ_PORT:
            self._known[bit] = self._leaf(bit)
            return
        for out, literal in zip(cell.ports["Y"], self._results(cell), strict=True):
            if isinstance(out, tuple):
                self._known[out] = literal

    def _results(self, cell: Cell) -> list[int]:
        ports, kind, graph = cell.ports, cell.kind, self.graph
        width = len(ports["Y"])
        if kind == "$mux":
            select = self.literal(ports["S"][0])
            if select in (FALSE, TRUE):
                return self.literals(ports["B" if select else "A"])
            return [graph.choice(select, self.literal(b), self.literal(a))
                    for a, b in zip(ports["A"], ports["B"], strict=True)]
        if kind == "$pmux":
            result = self.literals(ports["A"])
            for place, select in enumerate(ports["S"]):
                chosen = self.literals(ports["B"][place * width:(place + 1) * width])
                result = [graph.choice(self.literal(select), b, a) for a, b in zip(result, chosen, strict=True)]
            return result
        if kind == "$mul":
            return self._multipliers.product(cell.name, [self.literals(ports[port]) for port in operands(cell)], width)
        return _extended(self._operation(cell, width), width, signed=False)

    def _operation(self, cell: Cell, width: int) -> list[int]:
        graph, kind = self.graph, cell.kind
        signed = all(int(cell.parameters[f"\\{port}_SIGNED"]) for port in operands(cell))
        own = [self.literals(cell.ports[port]) for port in operands(cell)]
        wide = [_extended(each, width, signed) for each in own]
        widest = max(map(len, own))
        compared = [_extended(each, widest, signed) for each in own]
        match kind:
            case "$not":
                return [literal ^ 1 for literal in wide[0]]
            case "$and":
                return [graph.conjunction(a, b) for a, b in zip(*wide, strict=True)]
            case "$or":
                return [graph.disjunction(a, b) for a, b in zip(*wide, strict=True)]
            case "$xor":
                return [graph.difference(a, b) for a, b in zip(*wide, strict=True)]
            case "$xnor":
                return [graph.difference(a, b) ^ 1 for a, b in zip(*wide, strict=True)]
            case "$reduce_xor":
                return [reduce(graph.difference, own[0])]
            case "$reduce_and":
                return [graph.every(own[0])]
            case "$reduce_or" | "$reduce_bool":
                return [graph.some(own[0])]
            case "$logic_not":
                return [graph.some(own[0]) ^ 1]
            case "$eq" | "$ne":
                return [graph.equal(*compared) ^ (kind == "$ne")]
            case "$lt" | "$le" | "$gt" | "$ge":
                a, b = ([*each[:-1], each[-1] ^ 1] for each in compared) if signed else compared
                return [graph.less(*((a, b) if kind in ("$lt", "$ge") else (b, a))) ^ (kind in ("$le", "$ge"))]
            case "$add":
                return graph.sum(*wide)
            case "$sub":
                return graph.sum(wide[0], [literal ^ 1 for literal in wide[1]], TRUE)
            case "$neg":
                return graph.sum(graph.number(0, width), [literal ^ 1 for literal in wide[0]], TRUE)
            case "$shift" if cell.parameters["\\B_SIGNED"].endswith("1"):
                raise ValueError(f"cell {cell.name}: a shift by a signed amount is not known here")
            case "$shl" | "$shr" | "$shift":
                step = -1 if kind == "$shl" else 1
                return self._shifted(_extended(own[0], max(width, len(own[0])), signed), own[1], step)[:width]
        raise ValueError(f"cell {cell.name} of kind {kind}: its logic is not known here")

    def _shifted(self, value: list[int], amount: list[int], step: int) -> list[int]:
        for place, literal in enumerate(amount):
            distance = step << place
            moved = [value[index + distance] if 0 <= index + distance < len(value) else FALSE for index in range(len(value))]
            value = [self.graph.choice(literal, b, a) for a, b in zip(value, moved, strict=True)]
        return value


def _extended(literals: list[int], width: int, signed: bool) -> list[int]:
    fill = literals[-1] if signed else FALSE
    return [*literals, *[fill] * (width - len(literals))][:width]


def name_undefined(netlist: Netlist) -> None:
    """Gives each undefined bit a name: an arbitrary value, the same in every copy and cycle."""
    number = 0
    for cell in netlist.cells:
        for port, bits in cell.ports.items():
            for index, bit in enumerate(bits):
                if bit == "x" and not cell.drives(port):
                    bits[index] = ("$undefined", number)
                    number += 1
