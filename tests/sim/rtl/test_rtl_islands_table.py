"""The table of islands matches the hardware's current registers."""

import pytest

from arrayloom.hdl.top import Accelerator
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.islands.partition import UNKNOWN_ALLOWED, digest_keys, trained_partition
from arrayloom.sim.rtl.islands.state import State, find_state
from arrayloom.sim.rtl.netlist import Cell
from arrayloom.sim.rtl.verilog import TOP, widened


@pytest.mark.parametrize("preset", ["tiny", "edge"])
def test_the_registers_are_those_of_the_table(preset: str) -> None:
    with widened(Accelerator(load_config(preset)), TOP) as (_, netlist):
        states = list(find_state(netlist))
    partition = trained_partition()
    unknown = sorted({state.key for state in states if not partition.knows(state)})
    changed = digest_keys(states) != partition.made_for[preset]
    assert partition.unknown_share(states) <= UNKNOWN_ALLOWED, (
        f"train again with 'python -m benchmarks.islands': the registers of {preset} have "
        f"{'changed' if changed else 'not changed'} since, and unknown are {', '.join(unknown)}")


def test_the_digest_is_of_names_and_not_of_their_number() -> None:
    def states(*names: str) -> list[State]:
        return [State(Cell("$dff", name), "unit", name) for name in names]

    digest = digest_keys(states("row_0", "row_1", "other"))
    assert digest == digest_keys(states("other", "row_5"))
    assert digest != digest_keys(states("row_0"))
    assert trained_partition().unknown_share(states("absent")) == 1
