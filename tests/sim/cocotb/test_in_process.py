"""The benches' checks on the in-process simulator, which has another bus, clock and memory; compared with the records."""

import pytest
from board_checks import CHECKS
from board_faults import FAULTS
from sessions import ARITHMETIC, CONFIG, CORNERS, EXACT, PROGRAMS, SESSIONS, TIES, TIMINGS, Session, check_session
from transcript import Record, compare, recorded

from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.memory import Timing


@pytest.fixture(scope="module")
def fast() -> Build:
    return build(accelerator(CONFIG))


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("timing", TIMINGS)
def test_control(fast: Build, timing: str, name: str) -> None:
    check_session(fast, f"{name}, {timing}")


@pytest.mark.parametrize("group", FAULTS)
@pytest.mark.parametrize("timing", TIMINGS)
def test_every_fault_ends_in_the_status_register_with_its_cause(fast: Build, timing: str, group: str) -> None:
    check_session(fast, f"faults {group}, {timing}")


@pytest.mark.parametrize("seed", PROGRAMS)
@pytest.mark.parametrize("timing", TIMINGS)
def test_random_programs_do_what_the_emulator_does(fast: Build, timing: str, seed: int) -> None:
    check_session(fast, f"program {seed}, {timing}")


@pytest.mark.parametrize("seed", ARITHMETIC)
def test_values_where_rounding_decides_are_the_emulator_s(fast: Build, seed: int) -> None:
    check_session(fast, f"arithmetic {seed}")


@pytest.mark.parametrize("seed", TIES)
@pytest.mark.parametrize("kind", ["adds", "averages", "small_averages"])
def test_values_that_all_lie_where_a_rounding_turns(fast: Build, kind: str, seed: int) -> None:
    check_session(fast, f"{kind} {seed}")


@pytest.mark.parametrize("seed", EXACT)
def test_totals_of_adds_to_which_every_bit_contributes(fast: Build, seed: int) -> None:
    check_session(fast, f"exact adds {seed}")


@pytest.mark.parametrize("name", [check.__name__ for check in CORNERS])
def test_corners(fast: Build, name: str) -> None:
    check_session(fast, name)


@pytest.mark.parametrize("unit", CORE_UNITS, ids=lambda unit: unit.name)
def test_counters_of_tokens_reach_their_ends(fast: Build, unit: Unit) -> None:
    check_session(fast, f"tokens of {unit.name}")


@pytest.mark.parametrize("name", [name for name in SESSIONS if name.startswith("anywhere")])
def test_memory_may_lie_anywhere(fast: Build, name: str) -> None:
    check_session(fast, name)


def test_all_that_is_recorded_is_checked() -> None:
    assert set(recorded()) == set(SESSIONS)


def test_another_cycle_is_seen(fast: Build) -> None:
    """The same program on a memory with one more cycle of latency."""
    name = "program 20, default"
    with pytest.raises(AssertionError, match=r"session 'program 20, default': \d+ cycles .* recorded are \d+ with"):
        compare(name, Session(SESSIONS[name].check, Timing(latency=65)).run(fast))


def test_a_session_that_nobody_recorded_is_refused() -> None:
    with pytest.raises(AssertionError, match="session 'new': nothing is recorded of it; run python -m sessions"):
        compare("new", Record(1, "0"))
