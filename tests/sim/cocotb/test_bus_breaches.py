"""A memory that breaks the rules of its bus: no run hangs, writes outside its limits, or succeeds with wrong bytes.

Afterwards accelerator and memory are reset, and the next run is exact. Only a duplicate write response during another
outstanding write is not detected, since all writes have one identifier: data read back then may be stale.
"""

from collections import Counter

import pytest
from bus_breaches import BREACHES, TINY, breach

from arrayloom.isa.registers import Error
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, accelerator
from arrayloom.sim.rtl.memory import Breach

CASES, MORE_CASES = 200, 10_000


@pytest.fixture(scope="module")
def fast() -> Build:
    return build(accelerator(TINY), FAST)


def run(build: Build, seeds: range) -> Counter[tuple[Breach, str]]:
    return Counter(breach(build, seed) for seed in seeds)


def test_a_memory_that_breaks_the_rules(fast: Build) -> None:
    ends = run(fast, range(CASES))
    failed = {breach: {end for kind, end in ends if kind is breach} - {"done"} for breach in BREACHES}
    assert all(failed.values()), "some breach is never seen"
    assert failed[Breach.LOST_ANSWER] == {Error.BUS_STUCK.name} <= failed[Breach.LOST_BEAT]


@pytest.mark.slow
def test_a_memory_that_breaks_the_rules_in_many_ways(fast: Build) -> None:
    run(fast, range(CASES, MORE_CASES))
