"""A netlist that reports for each register and memory port whether it is enabled and whether it changes.

A partition is made from the recorded activity of such a netlist (``python -m benchmarks.islands``).
"""

from arrayloom.sim.rtl.islands.state import State, find_state
from arrayloom.sim.rtl.islands.wake import Logic, may_change
from arrayloom.sim.rtl.netlist import Bit, Netlist

ACTIVITY_PORT = "activity"


def add_activity(netlist: Netlist) -> list[State]:
    """Adds the output ``activity`` to ``netlist``, and returns the states that it reports, in order.

    Bit 2k of the output is 1 if state k is enabled at the next edge, bit 2k + 1 if the edge changes its value.
    """
    states, logic = list(find_state(netlist)), Logic(netlist)
    bits: list[Bit] = [logic.any(may_change(state, logic, exact)) for state in states for exact in (False, True)]
    netlist.add_output(ACTIVITY_PORT, bits)
    return states
