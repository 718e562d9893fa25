"""Violations of the bus protocol are detected, named, and end the run."""

import pytest

from arrayloom.sim.rtl.design import CHECKED, FAST
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop

BUSY_BUS = Timing(stall_percent=80)
BROKEN = {
    "EARLY_LAST": r"W channel: last is 1 on beat 1 of 4 \(burst at address 0x200020000\)",
    "NO_LAST": "W channel: last is 0 on beat 4 of 4",
    "WITHDRAW_ADDRESS": "AR channel: valid was withdrawn before ready",
    "CHANGE_ADDRESS": "AR channel: payload changed before ready",
    "WITHDRAW_DATA": "W channel: valid was withdrawn before ready",
    "CHANGE_DATA": "W channel: payload changed before ready",
    "NARROW": "AR channel: size is not the width of the bus",
    "FIXED": "AR channel: burst type is not INCR",
}


@pytest.mark.parametrize("mode", BROKEN)
def test_broken_rules(build_copier, open_bench, copier, mode):
    with open_bench(build_copier(), BUSY_BUS) as bench:
        bench.start(words=40, MODE=copier.Mode[mode])
        with pytest.raises(SimulationError, match=rf"cycle \d+: {BROKEN[mode]}"):
            bench.simulator.run(10_000)
        with pytest.raises(SimulationError, match=BROKEN[mode]):
            bench.simulator.run(1)
        bench.simulator.reset()
        bench.copy(40, MODE=copier.Mode.COPY)


@pytest.mark.parametrize(("addresses", "text"), [
    ({"source": 4096 - 48}, r"AR channel: burst crosses a 4 KiB boundary \(address 0x200000fd0, len 3, size 4"),
    ({"target": 4096 - 48}, "AW channel: burst crosses a 4 KiB boundary"),
    ({"source": 8}, "AR channel: address is not aligned to a word"),
    ({"target": 4}, "AW channel: address is not aligned to a word"),
])
def test_broken_addresses(build_copier, open_bench, addresses, text):
    with open_bench(build_copier()) as bench:
        bench.start(words=4, **addresses)
        with pytest.raises(SimulationError, match=text):
            bench.simulator.run(10_000)


def test_a_burst_may_end_at_the_boundary(build_copier, open_bench):
    with open_bench(build_copier()) as bench:
        bench.copy(8, source=4096 - 64, target=8192 - 64)
        assert bench.status() == {"DONE"}


def test_assertions_and_their_text_end_a_checked_run(build_copier, open_bench, copier):
    for variant, fails in ((CHECKED, True), (FAST, False)):
        with open_bench(build_copier(64, variant)) as bench:
            bench.start(words=4, MODE=copier.Mode.FAIL_ASSERTION)
            if fails:
                with pytest.raises(SimulationError, match="busy with status 1"):
                    bench.simulator.run(10_000)
            else:
                assert bench.simulator.run(10_000) is Stop.IRQ


def test_a_checked_run_finds_outputs_that_depend_on_inputs(build_copier, open_bench, copier):
    with open_bench(build_copier(64, CHECKED)) as bench:
        bench.start(words=4, MODE=copier.Mode.ANSWER_WITHIN_CYCLE)
        with pytest.raises(SimulationError, match="trace__valid depends on a bus input within the cycle"):
            bench.simulator.run(10_000)
