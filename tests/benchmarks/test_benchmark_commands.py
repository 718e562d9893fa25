"""The commands that measure the documents' figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from arrayloom.host.models import digits
from arrayloom.host.runtime.simulator import workload_digest
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import FAST, Design
from arrayloom.sim.rtl.optimize import Optimized, Workload
from benchmarks import simulation

NETWORK = [str(digits.MODEL), "--config", "tiny", "--input", str(digits.IMAGES / "digit_3_0705.png")]


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *arguments], cwd=ROOT, capture_output=True,
                          text=True, check=False)


def test_times_and_memory_of_a_network() -> None:
    done = _run("network", *NETWORK, "--preprocess", "digits", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"date", "cpu", "versions"} <= set(result)
    assert result["rtl"]["cycles"] > result["rtl"]["macs"] / 16
    for part in ("compile", "emulator", "rtl"):
        assert result[part]["peak_memory_bytes"] > 1 << 25
    assert 0 < result["rtl"]["wall_seconds"] < result["rtl"]["total_seconds"]


def test_the_table_of_the_documents(tmp_path: Path) -> None:
    done = _run("table", "digits@tiny", "--json", str(tmp_path / "table.json"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert row["bytes_differing"] == 0
    head, rule, line = done.stdout.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert f"| `tiny` | 0.83 M | {row['cycles']:,} | {100 * row['utilization']:.1f} % |" in line


def test_one_process_and_several_in_turns() -> None:
    done = _run("spread", str(digits.MODEL), *map(str, sorted(digits.IMAGES.iterdir())[:2]), "--preprocess", "digits",
                "--config", "tiny", "--workers", "2", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["images"], result["same"]) == (2, True) and result["cycles"] > 0
    assert result["ratio"] == pytest.approx(min(result["seconds"]["1"]) / min(result["seconds"]["2"]))


def test_speed_against_the_build_without_sleeping_registers(tmp_path: Path) -> None:
    done = _run("simulation", "digits@tiny", "--rounds", "2", "--json", str(tmp_path / "speed.json"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "speed.json").read_text())["rows"]
    sleepless, fast = row["builds"]["sleepless"], row["builds"]["fast"]
    assert row["equal"] and sleepless["digest"] == fast["digest"] and sleepless["cycles"] == fast["cycles"] == row["cycles"]
    for clock in ("wall", "cpu"):
        assert 0 < fast[clock]["minimum"] <= fast[clock]["median"]
        assert row["ratio"][clock]["minimum"] == sleepless[clock]["minimum"] / fast[clock]["minimum"]
    assert row["ratios"] == {"fast": row["ratio"]}
    head, rule, line = done.stdout.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert f"| `tiny` | {row['cycles']:,} |" in line and "| equal |" in line


def test_the_optimized_build_is_a_third(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    """Replaced by another build, which takes no time."""
    def optimize(design: Design, workload: Workload) -> Optimized:
        assert (design.name, workload.digest) == ("accelerator tiny", workload_digest())
        return Optimized(build(design, FAST), None)

    monkeypatch.setattr(simulation, "optimize", optimize)
    file = tmp_path / "speed.json"
    monkeypatch.setattr(sys, "argv", ["simulation", "digits@tiny", "--rounds", "1", "--pgo", "--json", str(file)])
    assert simulation.main() == 0
    (row,) = json.loads(file.read_text())["rows"]
    first, *others = row["builds"]
    assert (first, others) == ("sleepless", ["fast", "optimized"]) and row["ratio"] == row["ratios"]["fast"]
    seconds = {name: figures["cpu"]["median"] for name, figures in row["builds"].items()}
    assert all(row["ratios"][name]["cpu"]["median"] == seconds[first] / seconds[name] for name in others)
    head, rule, line = capsys.readouterr().out.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert "| fast, best run | optimized, best run | ratio, best run |" in head and "| optimized: ratio, best run |" in head


def test_one_run_and_its_segments_in_turns() -> None:
    done = _run("segments", *NETWORK, "--preprocess", "digits", "--workers", "2", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["same"], result["bytes_differing"]) == (True, 0) and result["cycles"] > 0
    assert set(result["seconds"]) == {"1", "2"}


@pytest.mark.parametrize(("module", "arguments", "message"), [
    ("simulation", ["digits@tiny", "--rounds", "0"], "--rounds 0: must be 1 or more"),
    ("islands", ["--cycles", "-1", "--output", "absent.json"], "--cycles -1: must be 1 or more"),
    ("table", ["lenet@tiny"], "'lenet@tiny': must be NETWORK@CONFIG; the networks are digits"),
    ("table", ["resnet18@16x16", "--data", "/absent"], "give the folder of networks and photographs with --data"),
    ("network", NETWORK, "add --preprocess NAME"),
    ("network", [*NETWORK, "--json", "/absent/file.json"], "/absent is not a folder"),
    ("spread", [str(digits.MODEL), "/absent.png", "--preprocess", "digits", "--workers", "2"], "/absent.png"),
])
def test_bad_input_is_named(module: str, arguments: list[str], message: str) -> None:
    done = _run(module, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_proofs_and_the_faults_that_they_find() -> None:
    done = _run("proofs", "--only", "persist", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    (proof,) = json.loads(done.stdout)["proofs"]
    assert (proof["name"], proof["unit"], proof["result"]) == ("moves persist", "top", "proved")
    assert proof["planted"] == proof["caught"] == 2 and proof["seconds"] > 0


def test_a_proof_that_there_is_not() -> None:
    done = _run("proofs", "--only", "nothing", "--workers", "1")
    assert done.returncode == 2
    assert "--only nothing: no proof has this word in its name" in done.stderr
