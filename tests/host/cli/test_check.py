"""``arrayloom check``: programs are in order, or it is told which instructions are not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from arrayloom.compiler import compile_model
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.isa.fields import Unit, encode_all
from arrayloom.isa.program import Program


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, "tiny")


@pytest.fixture
def changed(program: Program, tmp_path: Path) -> Path:
    """A program whose last store does not wait for what it stores."""
    instructions = list(program)
    index = max(index for index, one in enumerate(instructions) if one.UNIT is Unit.STORE and one.wait)
    giver = max(place for place, one in enumerate(instructions[:index]) if one.signal >> Unit.STORE & 1)
    instructions[index] = instructions[index].changed(wait=0)
    instructions[giver] = instructions[giver].changed(signal=instructions[giver].signal & ~(1 << Unit.STORE))
    path = tmp_path / "changed.loom"
    replace(program, instructions=encode_all(instructions)).save(path)
    return path


def test_a_compiled_program_is_in_order(program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.loom"
    program.save(path)
    assert main(["check", str(path)]) == 0
    assert f"{len(program)} instructions; tokens order every two accesses" in capsys.readouterr().out
    assert main(["check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "program": str(path), "instructions": len(program), "findings": [], "complete": True}


def test_instructions_that_are_not_in_order_are_named(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(changed), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    found = result["findings"][0]
    assert (found["hazard"], found["place"]) == ("read after write", "scratchpad")
    assert found["later"]["instruction"].startswith("store ") and found["earlier"]["index"] < found["later"]["index"]
    assert main(["check", str(changed)]) == 1
    text = capsys.readouterr().out
    assert f"instruction {found['later']['index']} of layer {found['later']['layer']!r}: store " in text
    assert f"read after write at word {found['word']} of the scratchpad: does not wait for" in text


def test_what_is_no_program_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.loom"
    path.write_bytes(b"nothing")
    assert main(["check", str(path)]) == 2
    assert "not an Arrayloom program" in capsys.readouterr().err
