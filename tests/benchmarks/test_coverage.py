"""Coverage: counted points, explanations of the rest, and the goals that programs reach."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from config_ends import ROWS, config_of

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Unit, Units
from arrayloom.isa.instructions import Drain, Elementwise, End, LoadActivations, Pool, PoolKind, Store
from arrayloom.isa.registers import Error, StatusWord
from arrayloom.sim.rtl.simulator import BURST_KINDS
from benchmarks.coverage import functional
from benchmarks.coverage.__main__ import HOLES, START
from benchmarks.coverage.points import Hole, Point, Source, merge, read_holes, read_points, unit_of
from benchmarks.coverage.report import make_report

TINY = PRESETS["tiny"]
GOALS = functional.goals(TINY)
VERILOG = r"""module \top.load (clk, go);
  always @* begin
    if (\$auto$verilog_backend.cc:2505:dump_module$32 ) begin end
    \$4  = 2'h0;
    if (go) begin
      \$4  = 2'h1;
    end
  end
  always @(posedge clk)
    state <= \$4 ;
  assign \$9  = go ? a : b;
  assign sum = \$9 ;
endmodule
"""


def point(file: Path, line: int, kind: str, what: str, count: int, instance: str = "top.load") -> str:
    fields = {"f": file, "l": line, "n": 3, "t": kind, "page": f"v_{kind}/{instance}", "o": what, "h": f"TOP.{instance}"}
    return "C '" + "".join(f"\1{key}\2{value}" for key, value in fields.items()) + f"' {count}"


def test_points_are_named_by_what_they_decide(tmp_path: Path) -> None:
    verilog, counts = tmp_path / "design.v", tmp_path / "coverage.dat"
    verilog.write_text(VERILOG)
    counts.write_text("\n".join([
        "# SystemC::Coverage-3", point(verilog, 3, "branch", "else", 0), point(verilog, 5, "branch", "if", 7),
        point(verilog, 11, "branch", "cond_then", 0), point(verilog, 2, "line", "block", 9),
        point(verilog, 1, "toggle", "axi___05Farvalid:0->1", 0, "top"), point(verilog, 1, "toggle", "fsm_state[1]:1->0", 3),
        point(verilog, 1, "toggle", "words[1]:1->0", 0), point(verilog, 1, "toggle", "queue_data:1->0", 0),
        point(verilog, 1, "toggle", "clk:0->1", 0)]) + "\n")
    assert read_points(counts) == [
        Point("load", "branch", "load.state: if if (go) begin", True),
        Point("load", "branch", r"load.$: cond_then assign \$  = go ? a : b;", False),
        Point("load", "line", "load.state: block always @* begin", True),
        Point("top", "toggle", "axi__arvalid 0->1", False), Point("load", "toggle", "load.fsm_state[1] 1->0", True)]


def test_what_the_writer_adds_is_no_point() -> None:
    assert Source(VERILOG).name(3, "if") is None


@pytest.mark.parametrize(("instance", "unit"), [
    ("", "top"), ("load.bursts", "load"), ("array_issue.queue", "issue"), ("slave", "control"), ("bus", "bus"),
    ("memory.bank_0", "scratchpad"), ("weights", "weight_fifo")])
def test_instances_belong_to_units(instance: str, unit: str) -> None:
    assert unit_of(instance) == unit


def test_runs_are_merged_point_by_point() -> None:
    hit, missed = Point("bus", "line", "bus.a", True), Point("bus", "line", "bus.a", False)
    assert merge([[hit, missed], [missed, missed]]) == [hit, missed]
    with pytest.raises(ValueError, match="shorter"):
        merge([[hit, missed], [missed]])


POINTS = [Point("bus", "line", "bus.a", True), Point("bus", "line", "bus.b", False), Point("bus", "toggle", "bus.b", False)]


def test_a_hole_explains_only_what_it_names() -> None:
    report = make_report(POINTS, [Hole("line", "bus.?", "why")], {}, {})
    assert report.units == {"bus": {"line": (1, 2), "branch": (0, 0), "toggle": (0, 1)}}
    assert report.left == [POINTS[2]]
    assert report.faults() == ["bus: 1 of 1 toggles are neither hit nor explained"]
    assert report.figures()["holes"] == [{"kind": "line", "pattern": "bus.?", "reason": "why", "points": 1}]


def test_a_hole_that_explains_nothing_is_a_fault() -> None:
    holes = [Hole("line", "bus.a", "it was hit"), Hole("toggle", "bus.*", "why"), Hole("line", "bus.b", "why")]
    assert make_report(POINTS, holes, {}, {}).faults() == ["explains nothing: line bus.a"]


def test_holes_have_reasons() -> None:
    assert all(hole.reason for hole in read_holes(HOLES.read_text()))
    read = read_holes("# Why\n# not.\nline a*\ntoggle b\n")
    assert read == [Hole("line", "a*", "Why not."), Hole("toggle", "b", "Why not.")]
    for text in ("line a", "# Why.\n\nline a", "# Why.\nfield a", "# Why.\nline"):
        with pytest.raises(ValueError, match=r"holes\.txt:\d: .*: write line, branch, toggle and a pattern, after a"):
            read_holes(text)


def test_goals_are_reached_by_what_does_it() -> None:
    load = LoadActivations(address=0, destination=(1 << 20) - 1, words=3, rows=1, signal=Units.STORE)
    reached = set(functional.field_values(LoadActivations, int.from_bytes(load.encode(), "little")))
    named = ("address lowest", "destination highest", "words between")
    assert {f"load_activations.{name}" for name in named} <= reached
    assert reached <= GOALS["fields"]
    assert set(functional.stages(Elementwise(height=1, width=1, add=1, swap=1, multiply=1, lookup_table=1))) == {
        "elementwise: product swapped, table kept"}
    assert set(functional.stages(Drain(height=1, width=1, release_parameters=1))) == {
        "drain: no add", "drain: parameters released"}
    assert set(functional.stages(Pool(height=1, width=1, kind=3))) == set()
    assert set(functional.stages(Pool(height=1, width=1, kind=PoolKind.SUM))) == {"pool: SUM"}
    assert set(functional.ends(StatusWord(False, False, True, Error.BUS_STUCK, True))) == {"bus stuck", "error BUS_STUCK"}
    assert set(functional.given(load)) == {"LOAD gives to STORE"}


def test_tokens_are_taken_at_once_or_with_delay() -> None:
    store = Store(address=0, source=0, words=1, rows=1, wait=Units.LOAD)
    cycles = dict.fromkeys(Unit, 0)
    assert set(functional.taken([store, End()], cycles)) == {"STORE takes from LOAD at once"}
    assert set(functional.taken([store], cycles | {Unit.STORE: 1})) == {"STORE takes from LOAD with delay"}
    both = store.changed(wait=Units.LOAD | Units.POST)
    assert set(functional.taken([both], cycles)) == set()


def test_kinds_of_bursts_are_distinguished() -> None:
    read, written = np.zeros(BURST_KINDS, np.uint64), np.zeros(BURST_KINDS, np.uint64)
    read[1, 15, 0, 1] = written[0, 0, 1, 0] = 1
    assert set(functional.bursts(read, written)) == {
        "load: 16 words", "load: to the end of a page", "store: 1 words", "store: from the start of a page"}


def test_the_covering_configurations_reach_all_pairs() -> None:
    reached = {pair for row in ROWS for pair in functional.pairs(config_of(functional.SMALLEST, row))}
    assert reached == GOALS["configurations"]
    assert set(functional.pairs(TINY)) < reached


@pytest.mark.slow
def test_counts_of_a_session(tmp_path: Path) -> None:
    """Builds the instrumented simulator, which takes minutes."""
    tests = "tests/sim/cocotb/test_in_process.py::test_random_programs_do_what_the_emulator_does[default-20]"
    done = subprocess.run([sys.executable, "-P", "-c", START, str(HOLES.parents[2]), "-p", "benchmarks.coverage.plugin",
                           "--coverage-to", str(tmp_path), "-p", "no:cacheprovider", tests], cwd=HOLES.parents[2],
                          check=False)
    assert done.returncode == 0
    points = read_points(tmp_path / "coverage.dat")
    lines = [one.hit for one in points if one.kind == "line"]
    assert len(lines) > 3000 and 0.9 < np.mean(lines) < 1
    reached = json.loads((tmp_path / "goals.json").read_text())
    assert "done" in reached["ends"] and "error WATCHDOG" not in reached["ends"]
    for group, names in reached.items():
        assert set(names) <= GOALS[group], group
