"""The canonical form of the control state, equal for equal behaviour: which bits are compared, and when they are meaningful.

Read from a netlist with the rules of ``arrayloom.hdl.control_rules``. State without a rule is compared unchanged.
"""

from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from arrayloom.hdl.control_rules import (
    BOUNDED,
    OF_DEPTHWISE,
    QUEUES,
    QUEUES_OF_DEPTHWISE,
    QUIET,
    RULES,
    RUNNING,
    Queue,
    Rule,
)
from arrayloom.sim.rtl.conditions import names_in, renamed
from arrayloom.sim.rtl.control_state import ControlState, find_control_state, quiet_bits, require_inductive
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import Compared, Field, Form, Ring
from arrayloom.sim.rtl.logic import REGISTERS, Logic, is_clocked_read, memory_name
from arrayloom.sim.rtl.netlist import Bit, Netlist


def canonical_form(netlist: Netlist) -> Form:
    """The form for a flat netlist of the accelerator. Raises ``BuildError`` if a run would not keep ``QUIET``."""
    quiet = quiet_bits(QUIET, netlist)
    logic = Logic(netlist, quiet)
    require_inductive(logic, quiet, RUNNING | BOUNDED)
    return _Former(netlist, logic, find_control_state(netlist, logic, RUNNING)).form()


class _Former:
    def __init__(self, netlist: Netlist, logic: Logic, state: ControlState) -> None:
        self._netlist, self._logic, self._state = netlist, logic, state
        self._places = variables(netlist)
        self._terms: dict[str, Field] = {}
        self._missing: list[str] = []
        self._conditions: dict[str, str] = {}   # by wire
        self._free: set[str] = set()            # wires of pointers, whose absolute value does not matter
        self._conditional: set[str] = set()     # wires used in conditions

    def form(self) -> Form:
        rings = [self._ring(memory, columns) for memory, columns in sorted(self._state.memories.items())]
        for rule in (*RULES, *(OF_DEPTHWISE if self._netlist.wire("\\depthwise.walker.working") else ())):
            self._apply(rule)
        if nested := self._conditional & (self._conditions.keys() | self._free):
            raise BuildError(f"{min(nested)!r}: a condition in hdl/control_rules.py is over a register that is not always "
                             "compared itself")
        return Form(tuple(self._compared()), tuple(rings), tuple(self._quiet()), self._terms, tuple(self._missing))

    def _quiet(self) -> Iterator[tuple[Field, int]]:
        for name, value in QUIET.items():
            field = self._field(self._netlist.wire("\\" + name))
            if field is None:
                raise BuildError(f"{name!r} in hdl/control_rules.py is not one register of the netlist")
            yield field, value

    def _apply(self, rule: Rule) -> None:
        """Attaches the rule's condition to each of its relevant registers."""
        matters = self._state.registers
        for instance in self._instances(rule.instance):
            prefix = f"\\{instance}." if instance else "\\"
            live = self._resolve(rule.live, prefix)
            for name in rule.registers.split():
                found = [wire for wire in matters if wire == prefix + name or wire.startswith(prefix + name + ".")]
                if live is None or not found:
                    self._missing.append(f"{prefix[1:]}{name}")
                self._conditions |= dict.fromkeys(found if live else [], live or "")
            if live is None:
                self._missing.append(f"{prefix[1:]}({rule.live})")

    def _instances(self, pattern: str) -> list[str]:
        if "*" not in pattern:
            return [pattern]
        paths = {wire[1:].rpartition(".")[0] for wire in self._state.registers}
        return sorted(path for path in paths if fnmatchcase(path, pattern)) or [pattern]

    def _resolve(self, live: str, prefix: str) -> str | None:
        """The condition over terms, or None when a register in it is missing."""
        terms = {}
        for name in names_in(live):
            bits = self._netlist.wire(prefix + name)
            field = self._field(bits)
            # the condition's registers are compared too, so a register is meaningful in both of two equal states or in
            # neither
            if field is None or len(self._state.registers.get(prefix + name, ())) != len(bits):
                return None
            self._conditional.add(prefix + name)
            known = next((term for term, each in self._terms.items() if each == field), f"t{len(self._terms)}")
            self._terms[known], terms[name] = field, known
        return renamed(live, terms)

    def _ring(self, memory: str, columns: set[int]) -> Ring:
        mask = sum(1 << column for column in columns)
        queue = next((queue for queue in (*QUEUES, *QUEUES_OF_DEPTHWISE) if f"\\{queue.instance}.storage" == memory), None)
        whole = Ring(memory, mask, None, (), None)
        if queue is None:
            self._missing.append(f"{memory[1:]} (queue)")
            return whole
        prefix = f"\\{queue.instance}."
        names = (queue.level,) if isinstance(queue.level, str) else queue.level
        writers, readers = self._logic.writers[memory], self._logic.readers[memory]
        levels = tuple(self._field(self._netlist.wire(prefix + name)) for name in names)
        if len(writers) != 1 or len(readers) != 1 or None in levels or not self._isolated(queue, writers + readers):
            self._missing.append(f"{memory[1:]} (queue)")
            return whole
        if queue.output and (live := self._resolve(queue.output, prefix)):
            self._conditions |= dict.fromkeys((bit[0] for bit in readers[0].ports["DATA"] if isinstance(bit, tuple)), live)
        first = self._field(readers[0].ports["ADDR"])
        filled = self._field(self._netlist.wire(prefix + queue.filled)) if queue.filled else None
        return Ring(memory, mask, first, tuple(level for level in levels if level), filled)

    def _isolated(self, queue: Queue, ports: list[Any]) -> bool:
        """Whether the pointers affect only places in the memory; if so, they are excluded from the comparison."""
        pointers = {bit[0] for port in ports for bit in port.ports["ADDR"] if isinstance(bit, tuple)}
        bits = [bit for wire in pointers for bit in self._netlist.wire(wire)]
        allowed = pointers | ({f"\\{queue.instance}.{queue.filled}"} if queue.filled else set())
        if not all(self._logic.is_register(bit) for bit in bits) or not self._logic.reached(bits) <= allowed:
            return False
        self._free |= pointers
        return True

    def _field(self, bits: list[Bit]) -> Field | None:
        """The field formed by those bits of a register, lowest first, if they are in one."""
        places = [self._places.get(bit) for bit in bits]
        if not places or places[0] is None:
            return None
        variable, low = places[0]
        return Field(variable, low, len(bits)) if places == [(variable, low + index) for index in range(len(bits))] else None

    def _compared(self) -> list[Compared]:
        masks: dict[tuple[str, str | None], int] = defaultdict(int)
        for wire, indices in self._state.registers.items():
            if wire not in self._free:
                for index in indices:
                    variable, place = self._places[wire, index]
                    masks[variable, self._conditions.get(wire)] |= 1 << place
        return [Compared(variable, mask, live) for (variable, live), mask in sorted(masks.items(), key=repr)]


def variables(netlist: Netlist) -> dict[Bit, tuple[str, int]]:
    """The place of each register bit in Yosys's Verilog: the variable, and the bit in it.

    A wire that registers drive as a whole, each a part without gaps, is a variable; any other register is one under the
    cell's name. What a clocked read port holds is called by the memory's name after an ``@``.
    """
    cells = [cell for cell in netlist.cells if cell.kind in REGISTERS]
    driven = {bit for cell in cells if _is_slice(cell.ports["Q"]) for bit in cell.ports["Q"]}
    places: dict[Bit, tuple[str, int]] = {}
    for cell in cells:
        whole = _is_slice(cell.ports["Q"]) and driven.issuperset(netlist.wire(cell.ports["Q"][0][0]))
        for index, bit in enumerate(cell.ports["Q"]):
            if isinstance(bit, tuple):
                places[bit] = (bit[0], bit[1]) if whole else (cell.name, index)
    for cell in netlist.cells:
        if is_clocked_read(cell):
            places |= {bit: (f"@{memory_name(cell)}", index) for index, bit in enumerate(cell.ports["DATA"])
                       if isinstance(bit, tuple)}
    return places


def _is_slice(bits: list[Bit]) -> bool:
    """Whether the bits are consecutive in one wire."""
    first = bits[0]
    return isinstance(first, tuple) and bits == [(first[0], first[1] + index) for index in range(len(bits))]
