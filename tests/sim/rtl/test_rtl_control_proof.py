"""The canonical form of the control state is proved on the netlist: states that it equates behave the same for ever."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from control_proof import Pair, Subject, invariants_hold_at_reset
from queue_proof import queue_failures
from small_accelerators import DEPTHWISE

from arrayloom.hdl import control_rules
from arrayloom.hdl.control_rules import QUEUES, Rule
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl import canonical
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.verilog import write_fast_verilog

CONFIGURATIONS = PRESETS | {DEPTHWISE.name: DEPTHWISE}
PARAMETRIZED = ["tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in (DEPTHWISE.name, "edge", "16x16"))]
WITH_DEPTHWISE = [*PARAMETRIZED[:1], DEPTHWISE.name, *PARAMETRIZED[2:]]     # the cheap tests
WRONG = {
    "an earlier state": (Rule("load.bursts", "words ends_run final", "fsm_state == 4"), r"load\."),
    "another flag": (Rule("array.streamer", "x", "read"), r"array\.streamer\."),
    "what is always needed": (Rule("bus", "load_count", "none"), r"bus\.|load\."),
}
"""Wrong rules, and the difference between states that are equal under them."""
FASTEST = "what is always needed"
DATA = ("\\memory.", "\\array.block_", "\\array.systolic", "\\array.accumulators_0.", "\\post.lanes.",
        "\\post.parameter_fifo.bias", "\\control.cycles", "\\control.retired", "\\control.counters_", "\\control.program")


@pytest.fixture(autouse=True)
def deep_recursion() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


@cache
def netlist_text(preset: str) -> str:
    """The netlist of the fast build."""
    texts: list[str] = []
    with TemporaryDirectory() as folder:
        write_fast_verilog(accelerator(CONFIGURATIONS[preset]).make(), Path(folder) / "design.v",
                           look=lambda netlist: texts.append(netlist.text()))
    return texts[0]


@pytest.fixture
def subject_of() -> Callable[[str], Subject]:
    return lambda preset: Subject.of(Netlist(netlist_text(preset)))


@pytest.mark.parametrize("preset", PARAMETRIZED)
def test_states_that_are_equal_under_the_rules_stay_so_and_say_the_same(subject_of, preset):
    subject = subject_of(preset)
    assert Pair(subject).failures() == []
    assert invariants_hold_at_reset(subject)


@pytest.mark.parametrize("preset", WITH_DEPTHWISE)
def test_the_words_of_a_queue_do_not_depend_on_where_they_lie(subject_of, preset):
    assert queue_failures(subject_of(preset)) == []


@pytest.mark.parametrize("preset", WITH_DEPTHWISE)
def test_every_rule_names_what_the_netlist_has(subject_of, preset):
    assert subject_of(preset).form.missing == ()


def test_what_is_data_decides_nothing(subject_of):
    state = subject_of("tiny").state
    assert set(state.memories) == {f"\\{queue.instance}.storage" for queue in QUEUES}
    assert [wire for wire in state.registers if wire.startswith(DATA)] == []
    assert not any(name.startswith("\\axil__") for name in state.inputs)
    assert all(len(state.registers[wire]) == 1 for wire in ("\\load.word", "\\load.spare"))    # marks a burst's last word


@pytest.mark.parametrize(("wrong", "where"), [
    pytest.param(*rule, id=name, marks=() if name == FASTEST else pytest.mark.slow) for name, rule in WRONG.items()])
def test_a_wrong_rule_is_found(subject_of, monkeypatch, wrong, where):
    monkeypatch.setattr(canonical, "RULES", (*control_rules.RULES, wrong))
    failures = Pair(subject_of("tiny")).failures()
    assert any(re.search(rf"\\(?:{where})", failure) for failure in failures), failures
