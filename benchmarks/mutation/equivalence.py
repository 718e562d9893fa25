"""Finds equivalent mutants: proves that a fault changes nothing for any state and inputs.

The netlist is treated as combinational logic between its state. A fault is undetectable if, from any state and
with any inputs, every register gets the same value as without the fault, every memory port reads and writes the same
words, and every output is the same; unread state may differ. Only the logic after the fault is duplicated. The
inputs of both copies are the same and at first unconstrained, which makes the claim stronger; if that is not proved,
the logic before them is added, without multipliers. A fault in a don't-care bit of the source is equivalent too.

Unreachable states are not excluded, except those in which an instruction has reserved bits set (reserved.py); a fault
that has an effect only in such other states is not recognized as equivalent.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.sim.rtl.islands.query import Query
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.yosys import run_yosys
from benchmarks.mutation.cut import IS_STATE, Obligations
from benchmarks.mutation.liveness import live_bits
from benchmarks.mutation.plant import SELECTED, Mutant
from benchmarks.mutation.reserved import reserved_bits

SUCCESS = "SAT proof finished - no model found: SUCCESS!"
DEPTHS = (0, 4, 40)     # most cells added before the fault
SECONDS = 4            # of one question
OPEN = {"$mul"}         # seconds after which the solver gives up


class Prover:
    """Proves the equivalence of mutants planted in ``netlist``."""

    def __init__(self, netlist: Netlist) -> None:
        self._aliases = {target: source for targets, sources in netlist.connections
                         for target, source in zip(targets, sources, strict=True)}
        self._outputs = set(netlist.output_bits())
        self._drivers: dict[Bit, Cell] = {}
        self._readers: dict[Bit, list[Cell]] = defaultdict(list)
        self._selects: dict[int, Bit] = {}
        for cell in netlist.cells:
            self._enter(cell)
        self._constants = dict.fromkeys(self._selects.values(), "0")
        self._constants |= dict.fromkeys(reserved_bits(netlist, self._drivers, set(self._selects.values())), "0")
        undefined = {cell.ports["S"][0] for cell in netlist.cells if cell.kind == "$mux" and cell.ports["A"] == ["x"]}
        self._anything = {number for number, select in self._selects.items() if select in undefined}
        self._live = live_bits(netlist, self._source)

    def equivalent(self, mutants: Sequence[Mutant]) -> set[int]:
        """Numbers of the mutants proved to be equivalent."""
        found: set[int] = set()
        for depth in DEPTHS:
            found |= self._proved([one.number for one in mutants if one.number not in found], depth)
        return found

    def _enter(self, cell: Cell) -> None:
        if cell.kind == "$eq" and cell.ports["A"] and cell.ports["A"][0] == (f"\\{SELECTED}", 0):
            self._selects[int("".join(str(bit) for bit in reversed(cell.ports["B"])), 2)] = cell.ports["Y"][0]
            return
        for port, bits in cell.ports.items():
            for bit in bits:
                if cell.drives(port):
                    self._drivers[bit] = cell
                else:
                    self._readers[self._source(bit)].append(cell)

    def _source(self, bit: Bit) -> Bit:
        while bit in self._aliases:
            bit = self._aliases[bit]
        return bit

    def _proved(self, numbers: Sequence[int], depth: int) -> set[int]:
        with TemporaryDirectory() as name:
            folder = Path(name)
            modules = [f"module \\query{number}\n{self._question(number, depth)}" for number in numbers]
            (folder / "design.il").write_text("".join(modules))
            run_yosys(folder, *(f"tee -q -o {number}.log sat -timeout {SECONDS} -prove \\ok 1 query{number}"
                                for number in numbers))
            return {number for number in numbers if SUCCESS in (folder / f"{number}.log").read_text()}

    def _question(self, number: int, depth: int) -> str:
        """A module whose output ``ok`` is 1 if nothing differs with the fault."""
        select = self._selects.get(number)
        if select is None or number in self._anything:      # Yosys removed unread or don't-care bits
            return Query(self._source).text("1")
        behind, sinks, seen = self._behind(select)
        query = Query(lambda bit: self._constants.get(self._source(bit), self._source(bit)))

        def other(bit: Bit) -> Bit:
            bit = self._source(bit)
            if bit == select:
                return "1"
            return (f"{bit[0]}'", bit[1]) if bit in seen and isinstance(bit, tuple) else bit

        for cell in [*self._before(behind, seen, depth), *behind]:
            query.copy(cell)
        for cell in behind:
            query.copy(_renamed(cell, other))
        obligations = Obligations(query, other, seen, self._source, self._live)
        differences = [each for cell in sinks for each in obligations.of(cell)]
        shown = [bit for bit in self._outputs if self._source(bit) in seen]
        differences += [query.differ([query.bit(bit)], [query.bit(other(bit))]) for bit in shown]
        return query.text(query.invert(query.any(differences)))

    def _behind(self, select: Bit) -> tuple[list[Cell], list[Cell], set[Bit]]:
        """The logic reached by the fault, the state that reads it, and the bits that may differ."""
        logic: dict[int, Cell] = {}
        sinks: dict[int, Cell] = {}
        seen, waiting = {select}, [select]
        while waiting:
            for reader in self._readers[waiting.pop()]:
                if reader.kind in IS_STATE:
                    sinks[id(reader)] = reader
                elif id(reader) not in logic:
                    logic[id(reader)] = reader
                    fresh = [bit for bit in reader.ports["Y"] if bit not in seen]
                    seen.update(fresh)
                    waiting += fresh
        return list(logic.values()), list(sinks.values()), seen

    def _before(self, behind: Iterable[Cell], seen: set[Bit], depth: int) -> Iterator[Cell]:
        """Logic unaffected by the fault, up to the given number of cells before it."""
        known: set[int] = set()
        layer = list(behind)
        for _ in range(depth):
            bits = {self._source(bit) for cell in layer for bit in cell.read_bits()} - seen
            drivers = (self._drivers[bit] for bit in bits if bit in self._drivers)
            layer = [cell for cell in {id(one): one for one in drivers}.values()
                     if id(cell) not in known and cell.kind not in IS_STATE | OPEN]
            known.update(map(id, layer))
            yield from layer


def _renamed(cell: Cell, other: Callable[[Bit], Bit]) -> Cell:
    """The copy of a cell after the fault."""
    return Cell(cell.kind, cell.name, cell.parameters, {port: [*map(other, bits)] for port, bits in cell.ports.items()})
