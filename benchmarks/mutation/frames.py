"""Copies of one cycle of a machine as literals: the original, one with a fault, and the differences between the two."""

from collections.abc import Callable, Iterator

from arrayloom.sim.rtl.logic import READ_PORT, REGISTERS, is_clocked_read
from arrayloom.sim.rtl.netlist import Bit, Cell
from benchmarks.mutation.machine import Machine, Reach

from bit_logic import FALSE, TRUE  # isort: skip
from netlist_logic import NetlistLogic  # isort: skip

Leaf = Callable[[Bit], int]
Place = tuple[str, Bit | str]       # of a difference: what it is in, and which

MEANT_WHILE = {"\\axi__ar": "\\axi__arvalid", "\\axi__aw": "\\axi__awvalid", "\\axi__w": "\\axi__wvalid",
               "\\axil__r": "\\axil__rvalid", "\\axil__b": "\\axil__bvalid", "\\trace__": "\\trace__valid"}
"""Prefixes of outputs, with the output without which the others mean nothing."""
REFUSED = ("\\axil__rresp", 1)      # without data


def originals(machine: Machine, count: int) -> list[NetlistLogic]:
    """Consecutive cycles without a fault, from any state."""
    cycles: list[NetlistLogic] = []
    for _ in range(count):
        before = cycles[-1] if cycles else None
        cycle = NetlistLogic(machine.graph, machine.logic, machine.multipliers,
                             lambda bit, before=before: _leaf(machine, before, bit))
        for select in machine.selects.values():
            cycle.set(select, FALSE)
        cycles.append(cycle)
    return cycles


def _leaf(machine: Machine, before: NetlistLogic | None, bit: Bit) -> int:
    """An input, or a bit of the state after the cycle before; words that memories return are free."""
    cell, _ = machine.logic.drivers.get(bit, (None, 0))
    if before is not None and cell is not None and cell.kind in REGISTERS:
        return before.next(bit)
    free = machine.graph.variable()
    if before is not None and cell is not None and is_clocked_read(cell):
        return machine.graph.choice(before.control(cell, "EN"), free, before.literal(bit))
    return free


class Faulty(NetlistLogic):
    """The cycle ``original`` with the fault that ``select`` selects; ``leaf`` gives the bits of the state in ``reach``."""

    def __init__(self, machine: Machine, original: NetlistLogic, select: Bit, reach: Reach, leaf: Leaf) -> None:
        super().__init__(machine.graph, machine.logic, machine.multipliers, leaf)
        self._machine, self._original, self._reach = machine, original, reach
        self.set(select, TRUE)

    def literal(self, bit: Bit) -> int:
        if not self.has(bit) and self._machine.source(bit) not in self._reach.bits:
            return self._original.literal(bit)
        return super().literal(bit)

    def _compute(self, bit: Bit) -> None:
        cell, _ = self.logic.drivers.get(bit, (None, 0))
        if cell is None or cell.kind != READ_PORT or is_clocked_read(cell):
            super()._compute(bit)
            return
        same = self.graph.equal(self._original.literals(cell.ports["ADDR"]), self.literals(cell.ports["ADDR"]))
        for each in cell.ports["DATA"]:
            self.set(each, self.graph.choice(same, self._original.literal(each), self.graph.variable()))


def differences(machine: Machine, one: NetlistLogic, other: NetlistLogic, reach: Reach) -> Iterator[tuple[Place, int]]:
    """Where the cycles may differ in what they output, or leave behind for the next one, and whether they do."""
    graph = machine.graph
    for cell in reach.state:
        if cell.kind in REGISTERS:
            for bit in cell.ports["Q"]:
                if machine.source(bit) in machine.live:
                    yield ("register", bit), graph.difference(one.next(bit), other.next(bit))
        elif cell.kind == READ_PORT:
            yield ("read", cell.name), _reads(one, other, cell)
        else:
            yield ("write", cell.name), _writes(machine, one, other, cell)
    for source, bit in machine.outputs.items():
        if source in reach.bits:
            differs = graph.difference(one.literal(bit), other.literal(bit))
            for meant in _meant_while(bit[0]):
                differs = graph.conjunction(differs, one.literal((meant, 0)))
            if bit[0] == "\\axil__rdata":
                differs = graph.conjunction(differs, one.literal(REFUSED) ^ 1)
            yield ("output", bit), differs


def _meant_while(name: str) -> Iterator[str]:
    if not name.endswith(("valid", "ready")):
        yield from (meant for prefix, meant in MEANT_WHILE.items() if name.startswith(prefix))


def _reads(one: NetlistLogic, other: NetlistLogic, cell: Cell) -> int:
    graph, enables = one.graph, [side.control(cell, "EN") for side in (one, other)]
    moved = graph.equal(one.literals(cell.ports["ADDR"]), other.literals(cell.ports["ADDR"])) ^ 1
    return graph.disjunction(graph.difference(*enables), graph.conjunction(enables[0], moved))


def _writes(machine: Machine, one: NetlistLogic, other: NetlistLogic, cell: Cell) -> int:
    """Whether other bits of the memory that are ever read are written, or with other values."""
    graph, ports = machine.graph, cell.ports
    places = [place for place in range(len(ports["DATA"])) if (cell.parameters["\\MEMID"], place) in machine.live_columns]
    enables = [one.literal(ports["EN"][place]) for place in places]
    moved = graph.equal(one.literals(ports["ADDR"]), other.literals(ports["ADDR"])) ^ 1
    found = [graph.conjunction(graph.some(enables), moved)]
    for place, enable in zip(places, enables, strict=True):
        data = graph.difference(one.literal(ports["DATA"][place]), other.literal(ports["DATA"][place]))
        found += [graph.difference(enable, other.literal(ports["EN"][place])), graph.conjunction(enable, data)]
    return graph.some(found)
