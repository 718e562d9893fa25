"""The state of a design that can influence its timing, derived from its netlist, not listed by hand."""

from collections import defaultdict
from dataclasses import dataclass, field

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.logic import Logic
from arrayloom.sim.rtl.netlist import Bit, Netlist

DATA_OUTPUTS = {"\\axi__wdata", "\\trace__data"}
"""Outputs that carry data, not timing."""
REGISTER_BUS = "\\axil__"


@dataclass
class ControlState:
    """Bits of registers by wire, and columns of memories by name, that influence the timing; ``inputs`` likewise."""

    registers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    memories: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    inputs: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


def quiet_bits(quiet: dict[str, int], netlist: Netlist) -> dict[Bit, str]:
    """Bits of registers and inputs that are constant during a run in which no register is written."""
    still = ("rst", "core_reset", "axil__awvalid", "axil__wvalid")
    bits: dict[Bit, str] = {(f"\\{name}", 0): "0" for name in still}
    for name, value in quiet.items():
        wire = netlist.wire("\\" + name)
        if not wire:
            raise BuildError(f"the netlist has no register {name!r}, which a run is to keep at {value}: name it in "
                             "hdl/control_rules.py as the netlist does")
        bits |= {bit: str(value >> index & 1) for index, bit in enumerate(wire)}
    return bits


def find_control_state(netlist: Netlist, logic: Logic, ending: dict[str, int]) -> ControlState:
    """All state with a path to an output that carries timing.

    Outputs of the register bus are not among those: during a run the bus is at most read. ``logic`` assumes that the run
    goes on; ``ending`` names the registers that end it by changing, so that what decides about that is included.
    """
    state = ControlState()
    waiting: list[Bit] = [bit for bit in netlist.output_bits()
                          if not bit[0].startswith(REGISTER_BUS) and bit[0] not in DATA_OUTPUTS]
    for name in ending:
        for bit in netlist.wire("\\" + name):
            waiting += logic.sources(bit)
    seen: set[Bit] = set()
    columns: set[tuple[str, int]] = set()
    while waiting:
        bit = waiting.pop()
        if bit in seen or logic.value(bit) is not None:
            continue
        seen.add(bit)
        waiting += logic.sources(bit)
        memory = logic.memory_of(bit)
        if memory is not None:
            column = (memory, logic.drivers[bit][1])
            if column not in columns:
                columns.add(column)
                state.memories[memory].add(column[1])
                waiting += logic.writing(*column)
        if isinstance(bit, str):
            continue
        if logic.is_register(bit):
            state.registers[bit[0]].add(bit[1])
        elif bit not in logic.drivers and bit not in logic.aliases:
            state.inputs[bit[0]].add(bit[1])
    return state


def require_inductive(logic: Logic, quiet: dict[Bit, str], ending: dict[str, int]) -> None:
    """Raises ``BuildError`` if a register assumed to be constant is not, unless the run ends."""
    for bit, value in quiet.items():
        if logic.is_register(bit) and bit[0].removeprefix("\\") not in ending and logic.next_value(bit) != value:
            raise BuildError(f"register {bit[0]} does not stay {value} during a run in which no register is written: "
                             "correct hdl/control_rules.py")
