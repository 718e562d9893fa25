"""Proves that a skipped island keeps its state, for any state.

Yosys's SAT solver answers two questions about small modules cut out of the netlist:

- of each register, are there values with which its bits of ``wake`` are 0 and yet the next edge changes it?
  The register in the module is the netlist's own cell, so Yosys defines the effect of an edge;
- of each island, are there values with which one of those bits is 1 and yet ``wake`` is 0?

Those modules contain the logic of ``wake``, and every value that it reads from the design is unconstrained, which
only makes the claim stronger. A register's bits are the terms of its island that read only the register's ports;
the claim holds for any choice of them. Registers whose modules differ only in names, such as those
of all lanes, are proved once. For a memory port the claim is that it is not enabled.

An ``x`` is treated as 0, as by Verilator in a fast build. It is not proved that Yosys writes the netlist
correctly as Verilog, nor that the harness fires the right clocks; a twin (harness/twin.h) checks both.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.islands.layout import CLOCK_PORT, OTHER_INPUTS, READ_INPUTS, WAKE_PORT, WRITE_INPUTS
from arrayloom.sim.rtl.islands.query import Query
from arrayloom.sim.rtl.islands.state import READ, REGISTERS
from arrayloom.sim.rtl.islands.wake import OWN_CELLS
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.yosys import run_yosys

SUCCESS = "SAT proof finished - no model found: SUCCESS!"
ENABLES = ("EN", "ARST", "SRST")
"""Inputs of a memory's clocked port of which one must be active for an edge to change anything."""


def unproved(netlist: Netlist, names: Sequence[str]) -> list[str]:
    """State that could change while its island is skipped, as ``island: register``; empty if there is none.

    ``netlist`` was split into islands with these names. The harness fires the islands of the inputs by its own rules;
    for these the claim is that they contain only input registers. Raises ``BuildError`` for a cell on another clock.
    """
    logic, subjects = Wake(netlist), defaultdict[str, set[str]](set)
    misplaced: set[str] = set()
    for island, cells in _by_island(netlist).items():
        if names[island] in (READ_INPUTS, WRITE_INPUTS, OTHER_INPUTS):
            inputs = {bit for _, bits in netlist.inputs() for bit in bits}
            misplaced.update(_title(names[island], cell) for cell in cells if not set(cell.ports.get("D", [])) <= inputs)
            continue
        leaves = logic.leaves((f"\\{WAKE_PORT}{island}", 0))
        subjects[_island_query(logic, island, leaves)].add(f"{names[island]}: its own wake")
        readers = logic.readers(leaves)
        for cell in cells:
            own = logic.leaves_of(cell, readers)
            subjects[_cell_query(logic, cell, own)].add(_title(names[island], cell))
    return sorted(misplaced.union(*(subjects[query] for query in _refuted(list(subjects)))))


def _refuted(queries: list[str]) -> list[str]:
    """Modules, as text without their first line, whose output can be 0 in the second cycle."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        modules = [f"module \\query{number}\n{query}" for number, query in enumerate(queries)]
        (folder / "design.il").write_text("".join(modules))
        run_yosys(folder, *(f"tee -q -o {number}.log sat -seq 2 -prove-skip 1 -prove \\ok 1 query{number}"
                            for number in range(len(queries))))
        return [query for number, query in enumerate(queries) if SUCCESS not in (folder / f"{number}.log").read_text()]


def _by_island(netlist: Netlist) -> dict[int, list[Cell]]:
    """Every clocked cell, by its clock's number."""
    found: dict[int, list[Cell]] = defaultdict(list)
    for cell in netlist.cells:
        unclocked = cell.kind == READ and cell.parameters["\\CLK_ENABLE"] in ("0", "1'0")
        clock = cell.ports.get("CLK", ["x"])[0]
        if isinstance(clock, tuple) and clock[0].removeprefix(f"\\{CLOCK_PORT}").isdigit():
            found[int(clock[0].removeprefix(f"\\{CLOCK_PORT}"))].append(cell)
        elif "CLK" in cell.ports and not unclocked:
            raise BuildError(f"cell {cell.name} of kind {cell.kind} acts on {clock}, which is the clock of no island")
        elif ("CLK" not in cell.ports and "ff" in cell.kind) or "latch" in cell.kind:
            raise BuildError(f"cell {cell.name} of kind {cell.kind} acts on no clock")
    return found


def _title(island: str, cell: Cell) -> str:
    """Names the cell by what it drives, or by its memory."""
    name = cell.ports["Q"][0][0] if cell.kind in REGISTERS else cell.parameters["\\MEMID"].strip('"').replace("\\\\", "\\")
    return f"{island}: {name}"


class Wake:
    """The logic of ``wake`` in a split netlist."""

    def __init__(self, netlist: Netlist) -> None:
        self._drivers = {bit: cell for cell in netlist.cells if cell.name.startswith(OWN_CELLS) for bit in cell.ports["Y"]}
        self._sources = dict(netlist.connections_to(set(netlist.output_bits())))
        self._reads: dict[Bit, frozenset[Bit]] = {}

    def driver(self, bit: Bit) -> Cell | None:
        """The cell of the logic that drives ``bit``."""
        return self._drivers.get(bit)

    def source(self, bit: Bit) -> Bit:
        """The bit to which an output is connected; any other bit is its own source."""
        while bit in self._sources:
            bit = self._sources[bit]
        return bit

    def leaves(self, root: Bit) -> list[Bit]:
        """The bits whose OR ``root`` claims to be."""
        found: dict[Bit, None] = {}
        pending = [root]
        while pending:
            bit = self.source(pending.pop())
            driver = self.driver(bit)
            if driver and driver.kind == "$or":
                pending += [*driver.ports["A"], *driver.ports["B"]]
            else:
                found[bit] = None
        return list(found)

    def reads(self, bit: Bit) -> frozenset[Bit]:
        """Bits of the design on which ``bit`` depends."""
        if bit not in self._reads:
            driver = self.driver(bit)
            if driver:
                self._reads[bit] = frozenset().union(*(self.reads(self.source(read)) for read in driver.read_bits()))
            else:
                self._reads[bit] = frozenset([bit] if isinstance(bit, tuple) else [])
        return self._reads[bit]

    def readers(self, leaves: list[Bit]) -> dict[Bit, list[Bit]]:
        """The leaves that depend on each bit of the design."""
        found: dict[Bit, list[Bit]] = defaultdict(list)
        for leaf in leaves:
            for bit in self.reads(leaf) or [leaf]:
                found[bit].append(leaf)
        return found

    def leaves_of(self, cell: Cell, readers: dict[Bit, list[Bit]]) -> list[Bit]:
        """The leaves that depend only on bits of the cell's ports, and a constant one."""
        bits = dict.fromkeys(self.source(bit) for port in cell.ports.values() for bit in port)
        near = dict.fromkeys(leaf for bit in ["1", *bits] for leaf in readers.get(bit, []))
        return [leaf for leaf in near if self.reads(leaf) <= bits.keys()]

    def cells(self, roots: Iterable[Bit], stop: Iterable[Bit] = ()) -> list[Cell]:
        """Cells that compute ``roots`` from the design, or from the bits of ``stop``; connections are left out."""
        found: dict[int, Cell] = {}
        pending, ends = list(roots), set(stop)
        while pending:
            bit = self.source(pending.pop())
            driver = None if bit in ends else self.driver(bit)
            if driver and id(driver) not in found:
                found[id(driver)] = driver
                pending += driver.read_bits()
        return list(found.values())


def _cell_query(logic: Wake, cell: Cell, leaves: list[Bit]) -> str:
    """1 1 if a leaf was 1 in the previous cycle, or the cell keeps its value from then."""
    query = Query(logic.source)
    if cell.kind in REGISTERS:
        value = query.copy(cell, "Q")
        changes = query.differ(value, query.before(value))
        awake = query.before([_any(query, logic, leaves)])[0]
    else:
        changes = query.any(query.bit(bit) for port in ENABLES for bit in cell.ports.get(port, []))
        awake = _any(query, logic, leaves)
    return query.text(query.any([awake, query.invert(changes)]))


def _island_query(logic: Wake, island: int, leaves: list[Bit]) -> str:
    """1 1 if the island's ``wake`` is 1, or all of the leaves are 0."""
    query = Query(logic.source)
    root: Bit = (f"\\{WAKE_PORT}{island}", 0)
    for maker in logic.cells([root], leaves):
        query.copy(maker)
    return query.text(query.any([query.bit(root), query.invert(query.any(map(query.bit, leaves)))]))


def _any(query: Query, logic: Wake, leaves: list[Bit]) -> Bit:
    """Whether a leaf is 1, with the logic that computes it."""
    for maker in logic.cells(leaves):
        query.copy(maker)
    return query.any(map(query.bit, leaves))
