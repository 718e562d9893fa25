"""A proof about a netlist: two states that are equal in the canonical form behave the same, now and in all later cycles.

Two copies of the logic receive the same valid inputs. They begin in any two states that are equal under the rules and
satisfy ``INVARIANTS``, which are proved as well; registers that a rule declares dead and the position of a queue in its
memory may differ. The proof shows that all outputs that signal an event are equal, that the same words enter the queues,
and that the next states are again equal under the rules. ``queue_proof`` shows that queues that received the same words
hold the same words in order. Assumed: a unit retires only an instruction that it has (``RETIRES``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bit_logic import FALSE, TRUE, Graph
from netlist_logic import Multipliers, NetlistLogic, name_undefined

from arrayloom.hdl.control_rules import QUIET, RUNNING
from arrayloom.sim.rtl.canonical import canonical_form, variables
from arrayloom.sim.rtl.conditions import interpret, names_in
from arrayloom.sim.rtl.control_state import ControlState, find_control_state, quiet_bits
from arrayloom.sim.rtl.form import Field, Form, Ring
from arrayloom.sim.rtl.logic import Logic, is_clocked_read, parameter_bits
from arrayloom.sim.rtl.netlist import Bit, Netlist

MEANT_WHILE = {
    "\\axi__arvalid": ("\\axi__araddr", "\\axi__arid", "\\axi__arlen", "\\axi__arsize", "\\axi__arburst"),
    "\\axi__awvalid": ("\\axi__awaddr", "\\axi__awid", "\\axi__awlen", "\\axi__awsize", "\\axi__awburst"),
    "\\axi__wvalid": ("\\axi__wlast", "\\axi__wstrb"), "\\trace__valid": ("\\trace__address",),
}
"""Outputs, with those that are meaningful only while they are set."""
INVARIANTS = (
    *((f"{unit}_issue", "filled | ~unit__instruction__valid") for unit in ("load", "array", "post", "store")),
    *((f"{unit}.bursts", "(region__ready & (fsm_state == 0)) | (~region__ready & ~(fsm_state == 0))")
      for unit in ("load", "store")),
    ("array.decoder", "planned | ~checked"), ("load", "pending_valid | ~bus__request__valid"),
)
OF_DEPTHWISE = (
    ("depthwise_issue", "filled | ~unit__instruction__valid"), ("depthwise.decoder", "planned | ~checked"),
)
"""Instances, and the invariants of their registers; additional ones of accelerators with a DEPTHWISE unit."""
RETIRES = {"load_issue": "load.unit__retired", "array_issue": "array.streamer.retired",
           "post_issue": "control.run.units__2__retired", "store_issue": "store.unit__retired"}
RETIRES_OF_DEPTHWISE = {"depthwise_issue": "control.run.units__4__retired"}
"""Where a unit says that it completes an instruction: taken for granted is that it has one (an assertion of Issue)."""
IGNORED = ("\\axil__", "\\axi__wdata", "\\trace__data")


@dataclass
class Subject:
    """A netlist with its analysis."""

    netlist: Netlist
    logic: Logic
    state: ControlState
    form: Form
    places: dict[tuple[str, int], Bit]      # from bits of variables to bits of registers

    @classmethod
    def of(cls, netlist: Netlist) -> "Subject":
        name_undefined(netlist)
        form, logic = canonical_form(netlist), Logic(netlist, quiet_bits(QUIET, netlist))
        places = {place: bit for bit, place in variables(netlist).items()}
        return cls(netlist, logic, find_control_state(netlist, logic, RUNNING), form, places)

    @property
    def has_depthwise(self) -> bool:
        return bool(self.netlist.wire("\\depthwise.walker.working"))

    @property
    def invariants(self) -> tuple[tuple[str, str], ...]:
        return (*INVARIANTS, *(OF_DEPTHWISE if self.has_depthwise else ()))

    @property
    def retires(self) -> dict[str, str]:
        return RETIRES | (RETIRES_OF_DEPTHWISE if self.has_depthwise else {})

    def bits(self, field: Field) -> list[Bit]:
        return [self.places[field.variable, field.low + index] for index in range(field.width)]


class Pair:
    """Two copies of a subject's logic in states that are equal under its form."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.graph = subject, Graph()
        self._shared: dict[Bit, int] = {}
        multipliers = Multipliers(self.graph)
        self.first = NetlistLogic(self.graph, subject.logic, multipliers, self._leaf_of_first)
        self.second = NetlistLogic(self.graph, subject.logic, multipliers, self._leaf_of_second)
        self._rings = {ring.memory: ring for ring in subject.form.rings}
        self._compared = {}
        for compared in subject.form.compared:
            for index in range(compared.mask.bit_length()):
                if compared.mask >> index & 1:
                    self._compared[subject.places[compared.variable, index]] = compared.live
        self._relate_pointers()
        for side in (self.first, self.second):
            for instance, condition in subject.invariants:
                self.graph.assert_clause([self._invariant(instance, condition, side.literal)])

            for issue, retired in subject.retires.items():
                level = side.literals(subject.netlist.wire(f"\\{issue}.masks.level"))
                self.graph.assert_clause([*level, side.literals(subject.netlist.wire(f"\\{retired}"))[0] ^ 1])

    def _invariant(self, instance: str, condition: str, literal: Callable[[Bit], int]) -> int:
        return _condition(self.graph, self.subject, instance, condition, literal)

    def live(self, side: NetlistLogic, expression: str, literal: Callable[[Bit], int]) -> int:
        """A condition over terms; ``literal`` gives the values of the registers in them."""
        terms = {term: [literal(bit) for bit in self.subject.bits(field)] for term, field in self.subject.form.terms.items()
                 if term in expression}
        return interpret(expression, _Connectives(self.graph, terms))

    def failures(self) -> list[str]:
        """Obligations that differ for at least one input and pair of states; empty if the proof succeeds."""
        obligations = dict(self._obligations())
        if not self.graph.satisfiable(self.graph.some(obligations.values())):
            return []
        return [name for name, difference in obligations.items() if self.graph.value(difference)]

    def _obligations(self) -> Iterator[tuple[str, int]]:
        graph, first, second, netlist = self.graph, self.first, self.second, self.subject.netlist
        conditions = {output: valid for valid, outputs in MEANT_WHILE.items() for output in outputs}
        for bit in netlist.output_bits():
            if not bit[0].startswith(IGNORED):
                valid = first.literal((conditions[bit[0]], 0)) if bit[0] in conditions else TRUE
                yield f"output {bit}", graph.conjunction(valid, graph.difference(first.literal(bit), second.literal(bit)))
        for bit in (bit for name in RUNNING for bit in netlist.wire("\\" + name)):
            yield f"next {bit}", graph.difference(first.next(bit), second.next(bit))
        for bit, live in self._compared.items():
            sides = [self._next(side, bit) for side in (first, second)]
            lives = [self.live(side, live, lambda each, side=side: self._next(side, each)) if live else TRUE
                     for side in (first, second)]
            yield f"live {bit}", graph.difference(*lives)
            yield f"next {bit}", graph.conjunction(lives[0], graph.difference(*sides))
        for instance, condition in self.subject.invariants:
            holds = self._invariant(instance, condition, lambda bit: self._next(first, bit))
            yield f"invariant of {instance}: {condition}", holds ^ 1
        for ring in self.subject.form.rings:
            yield from self._same_words(ring)

    def _same_words(self, ring: Ring) -> Iterator[tuple[str, int]]:
        graph, (cell,) = self.graph, self.subject.logic.writers[ring.memory]
        enables = [side.literal(cell.ports["EN"][0]) for side in (self.first, self.second)]
        yield f"write {ring.memory}", graph.difference(*enables)
        for column, bit in enumerate(cell.ports["DATA"]):
            if ring.mask >> column & 1:
                different = graph.difference(self.first.literal(bit), self.second.literal(bit))
                yield f"word {ring.memory} [{column}]", graph.conjunction(enables[0], different)
        if len(ring.level) == 2:
            levels = [self._level(ring, lambda bit, side=side: self._next(side, bit)) for side in (self.first, self.second)]
            yield f"level {ring.memory}", graph.equal(*levels) ^ 1

    def _next(self, side: NetlistLogic, bit: Bit) -> int:
        cell, index = self.subject.logic.drivers[bit]
        if not is_clocked_read(cell):
            return side.next(bit)
        front = self._front(side, cell.ports["DATA"][index], self._rings[self.subject.logic.memory_of(bit)], index)
        return self.graph.choice(side.control(cell, "EN"), front, side.literal(bit))

    def _level(self, ring: Ring, literal: Callable[[Bit], int]) -> list[int]:
        levels = [[literal(bit) for bit in self.subject.bits(field)] for field in ring.level]
        if len(levels) == 1:
            return levels[0]
        return self.graph.sum(levels[0], [bit ^ 1 for bit in levels[1]], TRUE)

    def _filled(self, ring: Ring) -> int:
        """Whether the queue is non-empty: the same in both copies."""
        gate = self.subject.bits(ring.filled) if ring.filled else None
        return self.graph.some(self.first.literals(gate) if gate else self._level(ring, self.first.literal))

    def _front(self, side: NetlistLogic, bit: Bit, ring: Ring, column: int) -> int:
        """A bit of the queue's oldest word, which is the same in both if there is one."""
        key = (f"front of {ring.memory}", column)
        shared = self._shared.setdefault(key, self.graph.variable())
        if side is self.first:
            return shared
        same = self._filled(ring) if ring.mask >> column & 1 else FALSE
        other = self._shared.setdefault((f"other {key[0]}", column), self.graph.variable())
        return self.graph.choice(same, shared, other)

    def _relate_pointers(self) -> None:
        for ring in self.subject.form.rings:
            if len(ring.level) == 2:
                levels = [self._level(ring, side.literal) for side in (self.first, self.second)]
                self.graph.assert_clause([self.graph.equal(*levels)])

    def _leaf_of_first(self, bit: Bit) -> int:
        cell, index = self.subject.logic.drivers.get(bit, (None, 0))
        memory = self.subject.logic.memory_of(bit)
        if memory is not None and cell is not None and not is_clocked_read(cell):
            return self._front(self.first, bit, self._rings[memory], index) if memory in self._rings else self._fresh(bit)
        return self._fresh(bit)

    def _fresh(self, bit: Bit) -> int:
        return self._shared.setdefault(bit, self.graph.variable())

    def _leaf_of_second(self, bit: Bit) -> int:
        graph, logic = self.graph, self.subject.logic
        cell, index = logic.drivers.get(bit, (None, 0))
        memory = logic.memory_of(bit)
        if cell is None:
            return self._input_of_second(bit)
        if memory is not None and not is_clocked_read(cell):
            return self._front(self.second, bit, self._rings[memory], index) if memory in self._rings else graph.variable()
        if bit not in self._compared:
            return graph.variable()
        live = self._compared[bit]
        if live is None:
            return self.first.literal(bit)
        return graph.choice(self.live(self.first, live, self.first.literal), self.first.literal(bit), graph.variable())

    def _input_of_second(self, bit: Bit) -> int:
        """The same input while it is valid, else any; read data is valid only for FETCH, whose identifier is 0."""
        graph, first = self.graph, self.first
        meant = TRUE
        if bit[0] in ("\\axi__rid", "\\axi__rlast", "\\axi__rresp", "\\axi__rdata"):
            meant = first.literal(("\\axi__rvalid", 0))
        if bit[0] == "\\axi__rdata":
            meant = graph.conjunction(meant, graph.some(first.literals([("\\axi__rid", 0), ("\\axi__rid", 1)])) ^ 1)
        if bit[0] == "\\axi__bresp":
            meant = first.literal(("\\axi__bvalid", 0))
        return first.literal(bit) if meant == TRUE else graph.choice(meant, first.literal(bit), graph.variable())


@dataclass
class _Connectives:
    """Interprets a condition as literals."""

    graph: Graph
    terms: dict[str, list[int]]

    def name(self, term: str) -> int:
        return self.graph.some(self.terms[term])

    def negation(self, literal: int) -> int:
        return literal ^ 1

    def conjunction(self, a: int, b: int) -> int:
        return self.graph.conjunction(a, b)

    def disjunction(self, a: int, b: int) -> int:
        return self.graph.disjunction(a, b)

    def equality(self, term: str, value: int) -> int:
        return self.graph.equal(self.terms[term], self.graph.number(value, len(self.terms[term])))

    def bit(self, term: str, index: int) -> int:
        return self.terms[term][index]


def invariants_hold_at_reset(subject: Subject) -> bool:
    """Whether the reset values of the registers satisfy the subject's invariants."""
    graph = Graph()

    def value(bit: Bit) -> int:
        cell, index = subject.logic.drivers[bit]
        return TRUE if parameter_bits(cell, "\\SRST_VALUE")[index] == "1" else FALSE

    return all(_condition(graph, subject, instance, condition, value) == TRUE for instance, condition in subject.invariants)


def _condition(graph: Graph, subject: Subject, instance: str, condition: str, value: Callable[[Bit], int]) -> int:
    wires = {name: subject.netlist.wire(f"\\{instance}.{name}") for name in names_in(condition)}
    return interpret(condition, _Connectives(graph, {name: [value(bit) for bit in wire] for name, wire in wires.items()}))
