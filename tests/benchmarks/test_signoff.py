"""The sign-off table: reading each command's results, the stage of a unit, and the page."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.signoff import __main__ as signoff
from benchmarks.signoff.checks import CHECKS, Check
from benchmarks.signoff.page import page
from benchmarks.signoff.stages import UNITS, units

RESULTS: dict[str, dict[str, Any]] = {
    "lint": {"configs": {"tiny": {"warnings": 0, "waived": 3, "unexplained": []}}},
    "proofs": {"proofs": [{"name": "order", "unit": "bus", "result": "proved", "planted": 2, "caught": 2}]},
    "second_simulator": {"programs": [{"differing_bytes": 0, "unknown_outputs": 0, "cycles": 7, "verilator_cycles": 7}]},
    "coverage": {"units": {"bus": {"lines": [10, 10], "branches": [19, 20], "toggles": [9, 10]}}, "functional": {},
                 "unexplained": []},
    "mutation": {"mutants": 30, "equivalent": 10, "survived": 1, "score": 0.95, "survivors": [{"explanation": "never read"}],
                 "by_unit": {"bus": {"mutants": 30, "equivalent": 10, "caught": 19}}},
    "source_mutation": {"mutants": 40, "caught": 40, "survived": 0},
    "bus_breaches": {"tests": 3, "skipped": 1, "failures": 0, "errors": 0},
    "programs": {"tests": 3, "skipped": 1, "failures": 0, "errors": 0},
}
WORSE = {
    "lint": ("configs", {"tiny": {"warnings": 1, "waived": 3, "unexplained": ["WIDTH"]}}),
    "proofs": ("proofs", [{"name": "order", "unit": "bus", "result": "proved", "planted": 2, "caught": 1}]),
    "second_simulator": ("programs", [{"differing_bytes": 0, "unknown_outputs": 0, "cycles": 8, "verilator_cycles": 7}]),
    "coverage": ("units", {"bus": {"lines": [9, 10], "branches": [19, 20], "toggles": [9, 10]}}),
    "mutation": ("survivors", [{"explanation": ""}]),
    "source_mutation": ("survived", 1),
    "bus_breaches": ("failures", 1),
    "programs": ("tests", 1),       # all of them skipped
}


def check_of(name: str) -> Check:
    return next(check for check in CHECKS if check.name == name)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_what_must_hold(name: str) -> None:
    key, value = WORSE[name]
    assert check_of(name).read(RESULTS[name]).met
    worse = RESULTS[name] | {key: value} | ({"unexplained": ["bus line 3"]} if name == "coverage" else {})
    assert not check_of(name).read(worse).met


def test_stages() -> None:
    found = units(RESULTS)
    assert list(found) == list(UNITS)
    assert (found["bus"].stage, found["bus"].noticed, found["control"].stage) == ("V2", 0.95, "V1")
    whole = RESULTS["mutation"] | {"by_unit": {"bus": {"mutants": 30, "equivalent": 10, "caught": 20}}}
    assert units(RESULTS | {"mutation": whole})["bus"].stage == "V3"
    bounded = {"proofs": [{"unit": "bus", "result": "bounded to 14"}]}
    assert units(RESULTS | {"mutation": whole, "proofs": bounded})["bus"].stage == "V2"


def test_the_page_names_every_command() -> None:
    verdicts = {check.name: check.read(RESULTS[check.name]) for check in CHECKS}
    text = page(CHECKS, verdicts, units(RESULTS))
    assert all(f"`{check.text}`" in text for check in CHECKS)
    del verdicts["lint"]
    assert "not run | - | `python -m benchmarks.lint`" in page(CHECKS, verdicts, units(RESULTS))
    assert "| bus | V2 | 1 | 0 | 95.0% | 100.0% | 95.0% | 90.0% |" in text


def test_results_that_are_there_are_not_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    for name, result in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result | {"seconds": 1}))
    output = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["signoff", "--results", str(tmp_path), "--output", str(output), "--json"])
    assert signoff.main() == 0
    assert all(check["met"] for check in json.loads(capsys.readouterr().out)["checks"])
    assert "# Sign-off" in output.read_text()


def test_a_command_without_results_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signoff, "CHECKS", [Check("broken", "", ("-c", "raise SystemExit(3)"), lambda _: 1 / 0, 0)])
    monkeypatch.setattr(sys, "argv", ["signoff", "--results", str(tmp_path)])
    assert signoff.main() == 2
    assert "ends with code 3 and without results" in capsys.readouterr().err
