"""Finds more equivalent mutants: proves over several cycles that a fault changes nothing that can be observed.

equivalence.py asks about one cycle from any state. Here

- narrow registers have only values that can occur (reached.py),
- outputs count only while they mean something, such as an address while it is valid, and
- registers may differ if that is never seen: data may be wrong while it is not valid.

Induction: some registers may differ, all other state and all outputs are equal in ``depth`` - 1 cycles; then they are
equal in the next one. Registers for which this fails are added to those that may differ, a few times. That the claim holds
at first is proved from equal states.
"""

import sys
from collections.abc import Iterable, Sequence

from arrayloom.sim.rtl.netlist import Bit, Netlist
from benchmarks.mutation.frames import Faulty, Place, differences, originals
from benchmarks.mutation.machine import Machine
from benchmarks.mutation.plant import Mutant
from benchmarks.mutation.reached import Reached
from benchmarks.mutation.reserved import reserved_bits

DEPTHS = (1, 2, 3)      # cycles
GROWTHS = 3             # times that registers are added to those that may differ
MOST_DIFFER = 400       # of their bits
FRAMES_DEEP = 200_000   # Python's recursion through logic


class Induction:
    """Proves the equivalence of mutants planted in ``netlist``, which is changed: undefined bits get names."""

    def __init__(self, netlist: Netlist) -> None:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES_DEEP))
        self._machine = machine = Machine(netlist)
        self._cycles = originals(machine, max(DEPTHS))
        drivers = {bit: cell for bit, (cell, _) in machine.logic.drivers.items()}
        zero = self._cycles[0].literals(list(reserved_bits(netlist, drivers, set(machine.selects.values()))))
        for literal in zero:
            machine.graph.assert_clause([literal ^ 1])
        self.reached = Reached(machine, self._cycles[0], zero)

    def equivalent(self, mutants: Iterable[Mutant]) -> set[int]:
        """Numbers of the mutants proved to be equivalent."""
        return {one.number for one in mutants if any(self._holds(one.number, depth) for depth in DEPTHS)}

    def _holds(self, number: int, depth: int) -> bool:
        differ = frozenset[Bit]()
        for _ in range(GROWTHS if depth > 1 else 1):
            failures = self._failures(number, depth, differ)
            if not failures:
                return self._begins(number, depth, differ)
            grown = differ | {bit for kind, bit in failures if kind == "register"}
            if any(kind != "register" for kind, _ in failures) or len(grown) > MOST_DIFFER:
                return False
            differ = grown
        return False

    def _failures(self, number: int, depth: int, differ: frozenset[Bit]) -> list[Place]:
        """What may differ in the last of ``depth`` cycles, if only ``differ`` does so before."""
        steps = self._steps(number, [differ] * depth, free=True)
        held = [literal ^ 1 for step in steps[:-1] for place, literal in step if not _allowed(place, differ)]
        last = {place: literal for place, literal in steps[-1] if not _allowed(place, differ)}
        graph = self._machine.graph
        if not graph.satisfiable(graph.some(last.values()), *held):
            return []
        return [place for place, literal in last.items() if graph.value(literal)]

    def _begins(self, number: int, depth: int, differ: frozenset[Bit]) -> bool:
        """Whether nothing else differs in the first cycles from equal states."""
        steps = self._steps(number, [frozenset(), *[differ] * (depth - 2)][:depth - 1], free=False)
        found = [literal for step in steps for place, literal in step if not _allowed(place, differ)]
        return not self._machine.graph.satisfiable(self._machine.graph.some(found))

    def _steps(self, number: int, differ: Sequence[frozenset[Bit]], free: bool) -> list[list[tuple[Place, int]]]:
        """The differences in consecutive cycles, before each of which the bits in ``differ`` are others: with ``free``, any
        before the first."""
        machine, steps, before = self._machine, [], None
        select = machine.selects.get(number)
        if select is None:      # nothing reads what the fault changes: Yosys removed it
            return [[] for _ in differ]
        for original, bits in zip(self._cycles, differ, strict=False):
            reach = machine.reach([select, *bits])

            def leaf(bit: Bit, original=original, bits=bits, before=before) -> int:  # type: ignore[no-untyped-def]
                if bit not in bits:
                    return original.literal(bit)
                return before.next(bit) if before else machine.graph.variable() if free else original.literal(bit)

            before = Faulty(machine, original, select, reach, leaf)
            steps.append(list(differences(machine, original, before, reach)))
        return steps


def _allowed(place: Place, differ: frozenset[Bit]) -> bool:
    """Whether it is a register that may differ; an output of the same name may not."""
    return place[0] == "register" and place[1] in differ
