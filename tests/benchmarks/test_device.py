"""The device compared with ONNX Runtime."""

import json
import subprocess
import sys

import numpy as np
import pytest
from checkout import ROOT

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.session import Session
from benchmarks.device import measure, random_batch


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks.device", str(digits.MODEL), "--seconds", "0", *arguments],
                          cwd=ROOT, capture_output=True, text=True, check=False)


def test_json() -> None:
    done = _run("--batch", "1", "3", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["model"], result["config"], result["threads"]) == ("digits_int8.onnx", "16x16", 1)
    assert result["plan"]["planned"] and result["plan"]["seconds"] > 0
    assert [row["batch"] for row in result["batches"]] == [1, 3]
    for row in result["batches"]:
        assert row["ratio"] == pytest.approx(row["arrayloom_seconds"] / row["onnxruntime_seconds"])
        assert row["bytes_differing"] == 0
        assert row["bytes_compared"] == 40 * row["batch"]


def test_table() -> None:
    done = _run("--batch", "2", "--config", "tiny")
    assert done.returncode == 0, done.stderr
    assert "digits_int8.onnx on tiny, threads: 1" in done.stdout
    assert "0 of 80" in done.stdout


def test_what_is_refused() -> None:
    done = _run("--batch", "0")
    assert done.returncode == 2
    assert "--batch and --threads must be at least 1" in done.stderr


def test_differences_are_counted() -> None:
    imported = import_model(digits.MODEL)
    program = compile_graph(imported.graph, "tiny")
    program.constants = program.constants.copy()
    program.constants[::7] ^= 0x10
    with Session(program, "tiny", "emulator") as session:
        row = measure(imported, session, random_batch(program.model_inputs, 2), 1, 0.0)
    assert 0 < row["bytes_differing"] <= row["bytes_compared"] == 80
    assert np.isfinite(row["ratio"])
