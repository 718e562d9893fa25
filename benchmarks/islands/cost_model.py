"""What it costs to compute the cells of a netlist once, in units of a plain operation on one word."""

from collections import defaultdict
from collections.abc import Sequence, Set

from arrayloom.sim.rtl.islands.fan_in import FanIn, Islands
from arrayloom.sim.rtl.islands.state import READ, REGISTERS, WRITE, State
from arrayloom.sim.rtl.netlist import Cell, Netlist

WORD = 64
PER_WORD = {"$mul": 1.5, "$mux": 1.0, "$shr": 1.2, "$shl": 1.2, "$shift": 1.2, "$sshr": 1.2}
"""Of operations that are not plain, per word of their result."""
PLAIN = 0.5
STORE, CLOCKED = 0.8, 0.3       # of a register: for each word, and for each register
COMPARE = 0.7                   # of each word of a register that counts as changing only when its value does


def words(width: int) -> float:
    """Words that ``width`` bits take: Verilator computes wide values in loops over halves."""
    return 1.0 if width <= WORD else (width + 31) // 32 * 0.5


def width(cell: Cell) -> int:
    """Bits of a cell's result, or of what it stores."""
    return max((len(bits) for port, bits in cell.ports.items() if cell.drives(port)),
               default=len(cell.ports.get("DATA", [])))


def cost(cell: Cell) -> float:
    """Of one evaluation."""
    if cell.kind == READ:
        return 1.5 + width(cell) / 128
    if cell.kind == WRITE:
        return 2 + width(cell) / 64
    if cell.kind in REGISTERS:
        return STORE * words(width(cell)) + CLOCKED
    if cell.kind == "$pmux":
        return words(width(cell)) * max(1, len(cell.ports["S"]))
    return PER_WORD.get(cell.kind, PLAIN) * words(width(cell))


def work(netlist: Netlist, states: Sequence[State], groups: Sequence[int], by_enable: Set[str]) -> dict[Islands, float]:
    """The cost of everything that is computed whenever one of a set of groups is awake, by that set (bit k for group k).

    ``groups``: that of each state. ``by_enable``: keys whose registers are not compared.
    """
    fan_in = FanIn(netlist, {id(state.cell): group for state, group in zip(states, groups, strict=True)})
    clocked = {id(state.cell) for state in states}
    result: dict[Islands, float] = defaultdict(float)
    for cell in netlist.cells:
        if id(cell) not in clocked and (fan := fan_in.of(_result(cell))):
            result[fan] += cost(cell)
    for state, group in zip(states, groups, strict=True):
        result[1 << group] += cost(state.cell)
        if state.cell.kind in REGISTERS and state.key not in by_enable:
            data = state.cell.ports["D"]
            result[fan_in.of(data) | 1 << group] += COMPARE * words(len(data))
    return dict(result)


def _result(cell: Cell) -> list[tuple[str, int] | str]:
    return [bit for port, bits in cell.ports.items() if cell.drives(port) for bit in bits]
