"""The service compared with the server of ONNX Runtime."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from arrayloom.host.runtime.errors import InputError
from benchmarks import serve_table


def test_both_servers_in_turns() -> None:
    command = [sys.executable, "-m", "benchmarks.serve", "--requests", "6", "--warm", "1", "--clients", "2", "--batch", "2",
               "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["replicas"], result["threads"], result["batch"]) == (1, 1, 2)
    pairs = list(zip(result["runs"], result["onnxruntime"], result["ratios"], strict=True))
    assert [ours["protocol"] for ours, _, _ in pairs] == ["grpc", "http"]
    for ours, theirs, ratio in pairs:
        assert ours["requests"] == theirs["requests"] == 6
        assert ours["protocol"] == theirs["protocol"] == ratio["protocol"]
        assert ratio["clients"] == 2
        assert ratio["requests_per_second"] == pytest.approx(ours["requests_per_second"] / theirs["requests_per_second"])
        assert ratio["latency_ms"]["p50"] == pytest.approx(ours["latency_ms"]["p50"] / theirs["latency_ms"]["p50"])
        assert ours["device_ms"]["p50"] > 0 and theirs["device_ms"]["p50"] > 0


def test_several_replicas_and_one_in_turns() -> None:
    command = [sys.executable, "-m", "benchmarks.replicas", "--requests", "4", "--rounds", "3", "--config", "tiny", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratios"] == [several / one for one, several in zip(result["one_replica"], result["several"], strict=True)]
    assert result["ratio"] == sorted(result["ratios"])[1]
    assert result["replicas"] == 2


def _facts() -> dict[str, object]:
    figures = {"p50": 2.0, "p99": 4.0}
    row = {"protocol": "grpc", "clients": 8, "requests_per_second": 1500.0, "latency_ms": figures, "device_ms": figures,
           "added_ms": figures}
    other = row | {"requests_per_second": 3000.0}
    return {"cores": 2, "cpu": "a CPU", "date": "2026-01-02", "runs": [row], "onnxruntime": [other],
            "ratios": serve_table.ratios([row], [other])}


def test_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    file = tmp_path / "service.md"
    file.write_text(f"before\n{serve_table.BEGIN}\nold\n{serve_table.END}\nafter\n")
    for _ in range(2):
        serve_table.write(_facts(), "python -m benchmarks.serve", file)
    before, command, _, head, rule, line, after = file.read_text().replace(f"{serve_table.BEGIN}\n", "").replace(
        f"{serve_table.END}\n", "").splitlines()
    assert (before, after) == ("before", "after")
    assert command == "`python -m benchmarks.serve` on 2 cores of a CPU, 2026-01-02:"
    assert head.count("|") == rule.count("|") == line.count("|")
    assert line.startswith("| grpc, 8 | 1,500 | 3,000 | 0.50 | 2.00 ms | 4.00 ms |")


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "service.md"
    file.write_text("nothing\n")
    with pytest.raises(InputError, match="has no place for the table"):
        serve_table.write(_facts(), "", file)
    assert serve_table.DOCUMENT.read_text().count(serve_table.BEGIN) == 1
