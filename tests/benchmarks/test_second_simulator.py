"""The exported core on Icarus Verilog, unknown at power-up, behaves as on Verilator and like the emulator."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.errors import BuildError, SimulationError, ToolError
from benchmarks.second_simulator.bench import Case, Outcome, Simulate, Traffic, differing_bytes, run_case, start_memory
from benchmarks.second_simulator.cases import CASES, QUIET, ROUGH
from benchmarks.second_simulator.compare import compare
from benchmarks.second_simulator.simulators import STRIPPED, compile_icarus, icarus, require_icarus, verilator
from benchmarks.second_simulator.strip import strip_power_up

sys.path.append(str(ROOT / "tests" / "sim" / "cocotb" / "benches"))
from board_programs import Mixed, small_program

TINY = PRESETS["tiny"]


def quiet(_: str) -> None:
    """No report."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Simulate]:
    """The simulation by Icarus, and the folder that it was made in."""
    try:
        require_icarus()
    except ToolError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("icarus")
    return folder, icarus(TINY, folder, quiet)


@pytest.fixture(scope="module")
def second(made: tuple[Path, Simulate]) -> Simulate:
    return made[1]


@pytest.fixture(scope="module")
def stripped(made: tuple[Path, Simulate]) -> Path:
    return made[0] / STRIPPED


@pytest.fixture(scope="module")
def first() -> Simulate:
    return verilator(TINY, quiet)


def hand_written(seed: int, traffic: Traffic) -> Case:
    """A few instructions of every kind, in an order of that seed."""
    return Case(f"mixed {seed}", Mixed(TINY, seed, 2).program, {}, traffic)


@pytest.mark.parametrize("make", [lambda: Case("small", small_program(TINY, 1), {}, QUIET), lambda: hand_written(0, ROUGH),
                                  lambda: hand_written(3, QUIET)], ids=["small", "mixed with stalls", "mixed"])
def test_a_program_does_the_same(make: Callable[[], Case], second: Simulate, first: Simulate) -> None:
    found = compare(make(), second, first)
    assert found["faults"] == []
    assert found["cycles"] == found["verilator_cycles"] > 300 and found["unknown_outputs"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_network_does_the_same(name: str, second: Simulate, first: Simulate) -> None:
    assert compare(CASES[name](TINY), second, first)["faults"] == []


def test_nothing_is_known_at_power_up(stripped: Path) -> None:
    text, exported = stripped.read_text(), stripped.with_name("arrayloom_tiny.v").read_text()
    assert not re.search(r"^\s*(output )?reg .*=", text, re.MULTILINE) and "initial" not in text
    assert len(re.findall(r"^\s*(?:output )?reg .*=", exported, re.MULTILINE)) > 900
    assert len(text.splitlines()) == len(exported.splitlines())


@pytest.mark.parametrize("register", ["axi__arvalid", r"\control.run.state "])
def test_a_control_register_without_reset_is_found(register: str, stripped: Path, tmp_path: Path) -> None:
    reset = rf"^(\s*)if \((?:rst|_\d+_)\) {re.escape(register)}\s*(?:\[[\d:]+\])?\s*<= \d+'h0+;\n\s*else "
    faulty, count = re.subn(reset, r"\1", stripped.read_text(), flags=re.MULTILINE)
    assert count
    (tmp_path / STRIPPED).write_text(faulty)
    simulate = compile_icarus(TINY, tmp_path / STRIPPED)
    outcome = run_case(Case("small", small_program(TINY, 1), {}, QUIET), simulate, tmp_path, limit=2000)
    assert outcome.unknown > 0 and any(message.startswith("unknown output") for message in outcome.messages)


@pytest.mark.parametrize("line", ["initial begin", "reg [3:0] a [7:0] = 4'h0;", "reg [1:0] a = {b, c};"])
def test_other_initial_values_are_refused(line: str) -> None:
    with pytest.raises(BuildError, match=re.escape(f"{line!r} in the Verilog: only plain values of registers are stripped")):
        strip_power_up(f"  reg a = 1'h0;\n  {line}\n")


def test_initial_values_of_registers_are_stripped() -> None:
    before = "  reg [3:0] \\a.b  = 4'h0;\n  output reg c = 1'h1;\n  reg signed [1:0] d = 2'h2;\n  assign d = c;\n"
    after = "  reg [3:0] \\a.b ;\n  output reg c;\n  reg signed [1:0] d;\n  assign d = c;\n"
    assert strip_power_up(before) == after


def outcome(memory: list[str], registers: dict[int, str] | None = None) -> Outcome:
    return Outcome(registers or {}, memory, 0, 0, [], 0)


def test_bytes_that_differ_or_are_unknown_are_counted() -> None:
    expected = np.arange(8, dtype=np.uint8)
    assert differing_bytes(outcome(["03020100", "07060504"]), expected, 4) == 0
    assert differing_bytes(outcome(["03020101", "xx0605X4"]), expected, 4) == 3
    with pytest.raises(SimulationError, match="1 words of memory after the run: there are 2"):
        differing_bytes(outcome(["03020100"]), expected, 4)


def test_an_unknown_register_is_an_error() -> None:
    with pytest.raises(SimulationError, match="register 0x010 reads 0000x001: unknown bits"):
        outcome([], {0x10: "0000x001"}).value(0x10)


def test_a_program_that_does_not_fit_is_refused() -> None:
    case = Case("large", replace(small_program(TINY, 1), memory_bytes=1 << 30), {})
    with pytest.raises(SimulationError, match="large takes 1073741824 bytes of memory: the bench has 262144"):
        start_memory(case)


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"iverilog is not on PATH.*apt-get install iverilog"):
        require_icarus()
