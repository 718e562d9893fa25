"""Mutation testing works: faults are planted and detected, equivalent ones are proved, and the table matches the source."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import Stopwatch
from benchmarks.mutation.equivalence import Prover
from benchmarks.mutation.hunt import Noticed, hunt
from benchmarks.mutation.kept import Kept, Verdict
from benchmarks.mutation.keys import SOLVER, Keys, imported
from benchmarks.mutation.late import check_late
from benchmarks.mutation.model import Planted, planted
from benchmarks.mutation.plant import Mutant
from benchmarks.mutation.score import Outcome, failures
from benchmarks.mutation.source import SourceFault, SourceFaultError, table
from benchmarks.mutation.stimuli import stimuli, use_test_support
from benchmarks.mutation.survivors import Explanation, explanation_of

COUNT = 12


@pytest.fixture(scope="module")
def weights() -> Planted:
    return planted(PRESETS["tiny"], COUNT, 1, ("weight_fifo",), Stopwatch())


def test_faults_are_noticed_or_proved_to_change_nothing(weights: Planted) -> None:
    assert len(weights.mutants) == COUNT
    found = list(hunt(weights.build, weights.mutants, True, LocalWorkers(1)))
    assert {one.mutant.number for one in found} == {one.number for one in weights.mutants}
    caught = {one.mutant.number for one in found if one.found is not None}
    proved = Prover(Netlist(weights.netlist)).equivalent(weights.mutants)
    assert not caught & proved
    assert len(caught) >= COUNT // 2


def test_counters_begin_late(weights: Planted) -> None:
    """The check itself compares each counter with where it begins."""
    use_test_support()
    check_late(weights.build)


def test_the_score_leaves_out_what_changes_nothing() -> None:
    mutants = [Mutant(number, "load", f"load.words[{number}] <- add.A[0] inv", "") for number in range(1, 5)]
    outcome = Outcome(mutants, {1: Noticed("words 0 to 19", "differs"), 2: Noticed("held, default", "differs")}, {3})
    figures = outcome.figures(1.0)
    assert {name: figures[name] for name in ("mutants", "caught", "equivalent", "survived")} == {
        "mutants": 4, "caught": 2, "equivalent": 1, "survived": 1}
    assert figures["score"] == 2 / 3 and figures["by_unit"]["load"]["survived"] == 1
    assert [reason.split(":")[0] for reason in failures(figures)] == ["66.7 % of the faults are noticed", "load"]


def test_explanations_go_by_unit_and_name() -> None:
    known = [Explanation("load", ["load.rows *", "load.words[?] <- * const1"], "why")]
    mutant = Mutant(1, "load", "load.words[3] <- add.A[0] const1", "")
    assert explanation_of(mutant, known) == known[0]
    assert explanation_of(Mutant(1, "store", mutant.name, ""), known) is None
    assert explanation_of(Mutant(1, "load", mutant.name.replace("3", "13"), ""), known) is None
    assert explanation_of(Mutant(1, "load", "load.words[3] <- add.A[0] inv", ""), known) is None


def test_verdicts_are_kept_while_their_keys_stay_the_same(tmp_path: Path) -> None:
    path, keys = tmp_path / "verdicts.jsonl", {"held, default": "a", "words 0 to 19": "b", SOLVER: "c"}
    found = [Verdict(1, "held, default", "differs"), Verdict(2, "words 0 to 19", None), Verdict(2, SOLVER, "equivalent")]
    with Kept(path, keys.get) as kept:
        for one in found:
            kept.add(one)
    with Kept(path, keys.get) as kept:
        assert kept.of(1) == {"held, default": found[0]}
        assert kept.of(2) == {"words 0 to 19": found[1], SOLVER: found[2]}
        assert kept.of(3) == {} and len(kept) == 3
    with Kept(path, {"held, default": "a", SOLVER: "changed"}.get) as kept:
        assert kept.of(1) and not kept.of(2)
    with Kept(None, keys.get) as kept:
        kept.add(found[0])


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    for line in ('{"key": "a"}', "3", '{"key": "a", "stage": "first", "mutant": 1, "found": null}'):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=r"--resume .*other.jsonl: line 1 is not a verdict of this command"):
            Kept(path, {}.get)
    with pytest.raises(InputError, match=r"--resume .*nowhere.*: cannot be written"):
        Kept(tmp_path / "nowhere" / "x", {}.get)


def test_keys_depend_on_the_netlist_and_on_what_a_stimulus_imports() -> None:
    keys, others = Keys("a netlist"), Keys("another netlist")
    names = [one.name for one in stimuli()]
    assert all(keys.of(name) and keys.of(name) != others.of(name) for name in [*names, SOLVER])
    assert keys.of("no such stimulus") is None
    files = {file.name for file in imported(("bus_breaches",))}
    assert {"bus_breaches.py", "board_direct.py", "transcript.py", "emulated.py"} <= files
    assert not {"random_words.py", "sessions.py", "qdq.py"} & files


def test_the_table_of_faults_by_hand_fits_the_source() -> None:
    faults = table()
    assert len(faults) >= 40 and len({fault.name for fault in faults}) == len(faults)
    for fault in faults:
        assert (ROOT / fault.file).read_text().count(fault.old) == 1, fault.name
        assert all((ROOT / test.split("::")[0]).exists() for test in fault.tests), fault.name


def test_a_fault_whose_text_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "unit.py").write_text("a = 1\n")
    with pytest.raises(SourceFaultError, match=r"unit.py holds 'a = 2' 0 times instead of once"):
        SourceFault("gone", "unit.py", "a = 2", "a = 3", ("tests",)).write(tmp_path)


def test_a_fault_by_hand_through_the_command() -> None:
    command = [sys.executable, "-m", "benchmarks.mutation", "--source", "--only", "a third bank", "--workers", "1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["mutants"], figures["caught"]) == (1, 1)
