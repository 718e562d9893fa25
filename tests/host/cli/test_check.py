"""``arrayloom check`` names the instructions of a program that no token orders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from arrayloom.compiler import compile_model
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.isa.fields import Instruction, Unit, Units, encode_all
from arrayloom.isa.instructions import Elementwise, End, FeedWeights, LoadActivations, LoadWeights, Store
from arrayloom.isa.program import Program


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, "tiny")


@pytest.fixture
def changed(program: Program, tmp_path: Path) -> Path:
    """A program whose last store does not wait for the data that it stores."""
    instructions = list(program)
    index = max(index for index, one in enumerate(instructions) if one.UNIT is Unit.STORE and one.wait)
    giver = max(place for place, one in enumerate(instructions[:index]) if one.signal >> Unit.STORE & 1)
    instructions[index] = instructions[index].changed(wait=0)
    instructions[giver] = instructions[giver].changed(signal=instructions[giver].signal & ~(1 << Unit.STORE))
    path = tmp_path / "changed.loom"
    replace(program, instructions=encode_all(instructions)).save(path)
    return path


def of(program: Program, instructions: list[Instruction]) -> Program:
    """A program with the given instructions and without layers."""
    return replace(program, instructions=encode_all([*instructions, End()]), layers=[], probes={})


def test_a_compiled_program_is_in_order(program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.loom"
    program.save(path)
    assert main(["check", str(path)]) == 0
    text = capsys.readouterr().out
    assert f": {len(program)} instructions, " in text and "tokens order every two accesses" in text
    assert main(["check", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result.pop("accesses_checked") > len(program)
    assert result == {"program": str(path), "instructions": len(program), "findings": [], "complete": True}


def test_instructions_that_are_not_in_order_are_named(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(changed), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    found = result["findings"][0]
    assert (found["hazard"], found["place"]) == ("read after write", "scratchpad")
    assert found["later"]["instruction"].startswith("store ") and found["earlier"]["index"] < found["later"]["index"]
    assert main(["check", str(changed)]) == 1
    text = capsys.readouterr().out
    assert f"instruction {found['later']['index']} of layer {found['later']['layer']!r}: store " in text
    assert found["missing"] == "a token of POST, directly or through another unit"
    assert f"read after write at word {found['word']} of the scratchpad: does not wait for" in text
    assert f"missing: {found['missing']}" in text


SHOWS: dict[str, tuple[list[Instruction], str]] = {
    "bytes of memory": (
        [Store(address=0x800, source=0, words=2, rows=1), LoadWeights(address=0x804, words=4)],
        "read after write at bytes 2052 to 2055 of the memory: does not wait for\n  instruction 0: store "),
    "one word": (
        [Elementwise(destination=9, height=1, width=1), Elementwise(source=9, destination=8, height=1, width=1)],
        "read after write at word 9 of the scratchpad: does not wait for\n  instruction 0: elementwise "),
    "the unit's own": (
        [Elementwise(destination=9, height=1, width=1), Elementwise(source=9, destination=8, height=1, width=1)],
        "missing: a wait for the unit's own earlier instructions\n"),
    "no token": (
        [Store(words=1, rows=1, wait=Units.LOAD)],
        "waits for a token that no instruction gives: of LOAD\n  missing: a LOAD instruction that signals STORE\n"),
    "a circle": (
        [Store(words=1, rows=1, wait=Units.POST, signal=Units.POST),
         Elementwise(source=50, destination=9, height=1, width=1, wait=Units.STORE, signal=Units.STORE)],
        "waits for an instruction that waits for it\n  instruction 1: elementwise "),
    "weights of two units": (
        [LoadWeights(words=4), FeedWeights(tiles=1, rows=4)],
        "fills the weight FIFO, but does not wait for\n  instruction 0: load_weights "),
}


@pytest.mark.parametrize("case", SHOWS)
def test_what_is_missing_is_said(
        case: str, program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instructions, shown = SHOWS[case]
    path = tmp_path / "few.loom"
    of(program, instructions).save(path)
    assert main(["check", str(path)]) == 1
    assert shown in capsys.readouterr().out
    assert main(["check", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["missing"]


def test_few_of_many_findings_are_printed(
        program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load, path = LoadActivations(words=1, rows=1), tmp_path / "many.loom"
    of(program, [load, *[Store(address=0x800, words=1, rows=1)] * 30]).save(path)
    assert main(["check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("read after write" in line for line in lines) == 20
    assert lines[-1] == "and 10 more: --json lists them"


def test_what_is_no_program_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.loom"
    path.write_bytes(b"nothing")
    assert main(["check", str(path)]) == 2
    assert "not an Arrayloom program" in capsys.readouterr().err
