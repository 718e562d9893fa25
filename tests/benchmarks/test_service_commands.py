"""Fuzz and soak tests of the service with few requests; the documents' figures are for many."""

import json
import random
import subprocess
import sys

import pytest
from checkout import ROOT

from benchmarks.service.mutate import mutated, mutated_json
from benchmarks.service.seeds import grpc_seeds, http_seeds


def _done(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def _run(module: str, *arguments: str) -> tuple[int, dict[str, object]]:
    done = _done(module, *arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_little_fuzzing() -> None:
    _, found = _run("fuzz_service", "--requests", "600", "--seed", "7")
    assert (found["faults"], found["first_faults"]) == (0, [])
    assert isinstance(found["requests"], int)
    assert found["requests"] >= 600
    assert (found["described"] == 0) == bool(found["not_described"])
    assert (found["replicas_lost"], found["unexpected"], found["probe_failures"]) == (0, 0, [])
    assert found["right_afterwards"]
    answers = found["answers"]
    assert isinstance(answers, dict)
    assert {"grpc INVALID_ARGUMENT", "grpc OK", "http 200", "http 400"} <= set(answers)


def test_a_little_soaking() -> None:
    code, found = _run("soak_service", "--requests", "60", "--clients", "2", "--rest", "0")
    assert (found["right"], found["wrong"], found["lost"]) == (60, 0, 0)
    assert code == (0 if found["sound"] else 1)


def test_the_same_seed_gives_the_same_requests() -> None:
    data = [data for _, data in grpc_seeds()]
    made = [[mutated(each, data, random.Random(f"{seed} {each!r}")) for each in data] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    bodies = [[mutated_json(seed.body, random.Random(number)) for seed in http_seeds()] for number in (3, 3, 4)]
    assert bodies[0] == bodies[1] != bodies[2]


@pytest.mark.parametrize(("module", "arguments", "reason"), [
    ("fuzz_service", ["--clients", "1"], "one for each port"), ("soak_service", ["--requests", "0"], "at least 1")])
def test_wrong_options(module: str, arguments: list[str], reason: str) -> None:
    done = _done(module, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
