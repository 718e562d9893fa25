"""A failing bench is reported, whatever the failure."""

import re
from pathlib import Path

import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.sim.cocotb.build import build
from arrayloom.sim.cocotb.runner import BenchError, run_bench
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.errors import ToolError
from arrayloom.sim.rtl.verilog import TOP

BENCH = """
import cocotb
from cocotb.triggers import Timer
from arrayloom.sim.cocotb.runner import read_settings

@cocotb.test()
async def passes(dut):
    assert read_settings() == {"value": 3}

@cocotb.test()
async def fails(dut):
    assert read_settings()["value"] == 4, "the value is not four"

@cocotb.test()
async def fails_in_the_background(dut):
    async def background():
        assert False, "what runs in the background fails"
    cocotb.start_soon(background())
    await Timer(100, "ns")
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "bench_to_fail.py"
    path.write_text(BENCH)
    return path


def test_a_bench_gets_its_settings(bus_side_simulator: Path, module: Path, tmp_path: Path) -> None:
    run_bench(bus_side_simulator, module, "passes", tmp_path, {"value": 3})


def test_a_simulator_outlives_the_environment_that_built_it(bus_side_simulator: Path, module: Path, tmp_path: Path) -> None:
    built = (bus_side_simulator / TOP).read_bytes()
    (found,) = set(re.findall(rb"[^\0]*/cocotb/libs(?=\0)", built))
    moved = tmp_path / TOP
    moved.write_bytes(built.replace(found, b"/gone".ljust(len(found), b"x")))
    moved.chmod(0o755)
    run_bench(tmp_path, module, "passes", tmp_path, {"value": 3})


def test_a_bench_does_not_import_from_its_working_folder(bus_side_simulator: Path, module: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("json", "numpy"):
        (folder / f"{name}.py").write_text("raise SystemExit('a module of the working folder was imported')")
    monkeypatch.syspath_prepend("")
    run_bench(bus_side_simulator, module, "passes", folder, {"value": 3})


@pytest.mark.parametrize(("test", "message"), [
    ("fails", "the value is not four"), ("fails_in_the_background", "what runs in the background fails"),
    ("misspelt", "misspelt")])
def test_a_failure_is_reported(bus_side_simulator: Path, module: Path, tmp_path: Path, test: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        run_bench(bus_side_simulator, module, test, tmp_path, {"value": 3})


def test_a_module_that_does_not_import_is_reported(bus_side_simulator: Path, module: Path, tmp_path: Path) -> None:
    module.write_text("import nothing_of_that_name")
    with pytest.raises(BenchError, match="nothing_of_that_name"):
        run_bench(bus_side_simulator, module, "passes", tmp_path)


@pytest.mark.parametrize("missing", ["perl", "make"])
def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for tool in {"perl", "make"} - {missing}:
        (tmp_path / tool).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=f"{missing} is not on PATH.*apt-get install {missing}"):
        build(accelerator(PRESETS["tiny"]), cache=tmp_path / "cache")
