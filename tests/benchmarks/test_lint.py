"""Verilator has no warning about the output of ``arrayloom verilog`` that no waiver explains."""

from pathlib import Path

import pytest

from arrayloom.host.runtime.export import WAIVERS
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.errors import BuildError
from benchmarks.lint import Lint, Waiver, Warning, lint, lint_verilog, read_waivers, unused

LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in PRESETS if name != "tiny"]
WAIVED = read_waivers(WAIVERS.read_text())


@pytest.mark.parametrize("name", ["tiny", *LARGE])
def test_every_warning_has_a_waiver_and_every_waiver_a_warning(name: str, tmp_path: Path) -> None:
    found = lint(PRESETS[name], tmp_path)
    assert found.unexplained == []
    assert unused(WAIVED, [found]) == []
    assert {warning for warning in found.warnings if not any(waiver.explains(warning) for waiver in WAIVED)} == set()
    assert not any("WIDTH" in warning.rule for warning in found.warnings)


@pytest.mark.parametrize(("line", "rule"), [
    ("wire [3:0] found = wide;", "WIDTHTRUNC"), ("wire [9:0] found = wide + {2'b0, wide};", "WIDTHEXPAND"),
    ("wire found;", "UNDRIVEN"),
    ("reg found; always @(posedge clk) found <= 0; always @(negedge clk) found <= 1;", "MULTIDRIVEN")])
def test_a_fault_is_found(line: str, rule: str, tmp_path: Path) -> None:
    verilog = tmp_path / "arrayloom_faulty.v"
    verilog.write_text(f"module arrayloom(input clk, input [7:0] wide, output reg kept);\n{line}\n"
                       "always @(posedge clk) kept <= ^{wide, found};\nendmodule\n")
    found = lint_verilog(verilog, WAIVERS)
    assert rule in {warning.rule for warning in found.unexplained}


def test_what_is_no_verilog_is_refused(tmp_path: Path) -> None:
    verilog = tmp_path / "arrayloom_broken.v"
    verilog.write_text("module arrayloom(\n")
    with pytest.raises(BuildError, match=r"arrayloom_broken\.v: Verilator refuses it: %Error.*syntax error"):
        lint_verilog(verilog, WAIVERS)


def test_a_waiver_that_explains_nothing_is_named() -> None:
    useless = Waiver("WIDTHTRUNC", "Operator SHIFT *", "none")
    found = Lint([Warning("WIDTHTRUNC", "Operator ADD expects 8 bits")], [])
    assert unused([useless], [found]) == ["WIDTHTRUNC: Operator SHIFT *"]


def test_a_bracket_of_a_waiver_is_a_bracket() -> None:
    waiver = Waiver("UNUSEDSIGNAL", "Bits of signal are not used: 'a?c'[0]*", "none")
    assert waiver.explains(Warning("UNUSEDSIGNAL", "Bits of signal are not used: 'abc'[0]"))
    assert not waiver.explains(Warning("UNUSEDSIGNAL", "Bits of signal are not used: 'abc'0"))
    assert not waiver.explains(Warning("UNDRIVEN", "Bits of signal are not used: 'abc'[0]"))


@pytest.mark.parametrize(("text", "message"), [
    ('lint_off -rule A -file "*" -match "*"', "1: no comment above says why"),
    ('// Why.\n\nlint_off -rule A -file "*" -match "*"', "3: no comment above says why"),
    ("// Why.\nlint_off -rule A", "2: 'lint_off -rule A' is not understood: write")])
def test_a_waiver_needs_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_waivers(text)
