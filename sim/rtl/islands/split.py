"""Gives each island of a netlist its own clock, and adds outputs that show which are active."""

from collections import defaultdict
from dataclasses import dataclass

from arrayloom.sim.rtl.islands.fan_in import FanIn
from arrayloom.sim.rtl.islands.layout import CLOCK_PORT, OTHER_INPUTS, READ_INPUTS, WAKE_PORT, WRITE_INPUTS
from arrayloom.sim.rtl.islands.partition import Partition
from arrayloom.sim.rtl.islands.state import CLOCK, State, find_state
from arrayloom.sim.rtl.islands.terms import Activity, merge_parts
from arrayloom.sim.rtl.islands.wake import Logic, may_change
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

WRITE_CHANNELS = ("axi__awready", "axi__wready", "axi__bvalid", "axi__bid", "axi__bresp")
TERM_PORT = "term_"


@dataclass(frozen=True)
class Islands:
    """The result: ``names`` of the islands, the island of every state cell, and the sets of islands active together, by
    number."""

    names: list[str]
    members: list[tuple[State, int]]
    activity: Activity


def split(netlist: Netlist, partition: Partition) -> Islands:
    """Splits ``netlist`` in place.

    Island k acts on the input ``clk_k``; the output ``wake_k`` is 1 whenever an edge of that clock may change anything in
    the island. Every input except the clock has a register: the harness drives inputs before an edge and the design sees
    them after it, with the same timing as inputs driven after the edge without islands. The outputs ``term_k_j`` are the
    parts of ``wake_k``: as ports they stay separate values, each recomputed only if something that it depends on has
    changed.
    """
    held = _hold_inputs(netlist)
    members = [(state, held.get(state.cell.name) or partition.island(state)) for state in find_state(netlist)]
    names = list(dict.fromkeys(name for _, name in members))
    numbers = {name: number for number, name in enumerate(names)}
    placed = [(state, numbers[name]) for state, name in members]
    logic = Logic(netlist)
    terms = [(state.cell, island, may_change(state, logic, partition.exact(state)))
             for state, island in placed if names[island] not in held.values() and not partition.always(names[island])]
    fan_in = FanIn(netlist, {id(state.cell): island for state, island in placed})
    activity = partition.activity(names)
    parts = [_parts(fan_in, [bits for _, owner, bits in terms if owner == number], logic, activity)
             for number in range(len(names))]
    parts = [_named(netlist, number, bits) for number, bits in enumerate(parts)]
    for number, name in enumerate(names):   # declared consecutively, so that they are adjacent in the model
        _output(netlist, f"{WAKE_PORT}{number}", "1" if partition.always(name) else logic.any(parts[number]))
    for number in range(len(names)):
        netlist.add_port("input", f"{CLOCK_PORT}{number}")
    for state, island in placed:
        state.cell.ports["CLK"] = [(f"\\{CLOCK_PORT}{island}", 0)]
    return Islands(names, placed, activity)


def _parts(fan_in: FanIn, terms: list[list[Bit]], logic: Logic, activity: Activity) -> list[Bit]:
    """The bits of an island's registers, merged into few jointly computed ones."""
    classes: dict[int, list[Bit]] = defaultdict(list)
    for bits in terms:
        for bit in bits:
            classes[fan_in.of([bit])].append(bit)
    costs = {islands: float(len(bits)) for islands, bits in classes.items()}
    return [logic.any(bit for key in sorted(keys) for bit in classes[key]) for keys in merge_parts(costs, activity)]


def _hold_inputs(netlist: Netlist) -> dict[str, str]:
    """Puts a register after each input except the clock; returns its island by the register's name."""
    islands = {}
    for name, bits in list(netlist.inputs()):
        if bits == [CLOCK]:
            continue
        held = netlist.add_wire(f"\\{name}$held", len(bits))
        netlist.replace(dict(zip(bits, held, strict=True)))
        register = Cell("$dff", f"$hold${name}", {"\\CLK_POLARITY": "1", "\\WIDTH": str(len(bits))},
                        {"CLK": [CLOCK], "D": bits, "Q": held}, {"\\unit": '"inputs"'})
        netlist.cells.append(register)
        islands[register.name] = _island_of_input(name)
    return islands


def _island_of_input(name: str) -> str:
    if name in WRITE_CHANNELS:
        return WRITE_INPUTS
    return READ_INPUTS if name.startswith("axi__") else OTHER_INPUTS


def _named(netlist: Netlist, island: int, parts: list[Bit]) -> list[Bit]:
    """The parts of an island's wake, each as an output if there are several."""
    if len(parts) < 2:
        return parts
    return [_output(netlist, f"{TERM_PORT}{island}_{index}", part) if isinstance(part, tuple) else part
            for index, part in enumerate(parts)]


def _output(netlist: Netlist, name: str, source: Bit) -> Bit:
    port = netlist.add_port("output", name)
    netlist.connections.append(([port], [source]))
    return port
