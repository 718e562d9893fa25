"""``arrayloom simulator``: simulators built and optimized in advance, and their use by later runs."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayloom.compiler import compile_model
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime import simulator, workload
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.errors import DeviceError
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.host.runtime.workload import workload_of
from arrayloom.isa.config import load_config
from arrayloom.isa.image import build_memory
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.cache import default_cache
from arrayloom.sim.rtl.design import FAST, accelerator
from arrayloom.sim.rtl.simulator import RtlSimulator

TINY = load_config("tiny")
STEPS = ("build_seconds", "counting_build_seconds", "workload_seconds", "optimized_build_seconds")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for this module alone, with the simulator of ``tiny``."""
    plain = build(accelerator(TINY), FAST, report=lambda _: None)
    base = tmp_path_factory.mktemp("cache")
    for folder in (plain.library.parent, plain.verilog.parent, default_cache() / "runtime"):
        shutil.copytree(folder, base / "arrayloom" / folder.relative_to(default_cache()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(base))
        yield base


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["simulator", "--config", "tiny", "--json", *arguments]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def run_digits() -> tuple[int | None, list[np.ndarray], Path]:
    """Cycles, memory and the POST unit's writes from a run on the current simulator; and its library."""
    program = compile_model(digits.MODEL, TINY)
    memory = build_memory(program)
    with closing(RtlDevice(TINY)) as device:
        report = device.execute(program, memory)
        return report.cycles, [memory, *device.trace()], simulator_of(TINY).library


def test_optimized_once_and_what_runs_from_then_on(cache: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    before = printed(capsys)
    assert not before["optimized"] and all(before[step] is None for step in STEPS)
    cycles, wanted, plain = run_digits()
    assert before["library"] == str(plain) and plain.is_relative_to(cache)

    made = printed(capsys, "--optimize")
    assert made["config"] == "tiny" and made["optimized"]
    assert made["build_seconds"] is None and all(made[step] > 0 for step in STEPS[1:])
    again, found, library = run_digits()
    assert made["library"] == str(library) != str(plain)
    assert again == cycles
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)

    assert printed(capsys, "--optimize") == made | dict.fromkeys(STEPS)
    assert printed(capsys) == made | dict.fromkeys(STEPS)
    assert main(["simulator", "--config", "tiny", "--optimize"]) == 0
    said = capsys.readouterr()
    assert not said.err and said.out.count("in the cache") == 4 and f"the optimized build, {library}" in said.out

    monkeypatch.setattr(simulator, "workload_digest", lambda: "another")
    assert printed(capsys) == before


@pytest.mark.usefixtures("cache")
def test_a_build_that_differs_from_the_emulator_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def falsify(*arguments: Any) -> tuple[Any, Any]:
        addresses, words = take_trace(*arguments)
        words[len(words) // 2, 1] ^= 1
        return addresses, words

    take_trace = RtlSimulator.take_trace
    monkeypatch.setattr(RtlSimulator, "take_trace", falsify)
    plain = build(accelerator(TINY), FAST)
    with pytest.raises(DeviceError, match=r"does not compute the same as the emulator \(first difference at instruction"):
        workload_of(TINY).run(plain)


def test_the_workload_changes_with_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = simulator.workload_digest()
    assert simulator.workload_digest() == digest == workload_of(TINY).digest
    for name in simulator.WORKLOAD:
        shutil.copy(Path(simulator.__file__).with_name(name), tmp_path)
    monkeypatch.setattr(simulator, "__file__", str(tmp_path / "simulator.py"))
    assert simulator.workload_digest() == digest
    for name in simulator.WORKLOAD:
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        assert simulator.workload_digest() not in (digest, "")
        shutil.copy(Path(workload.__file__).with_name(name), tmp_path)


def test_an_unknown_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulator", "--config", "9x9"]) == 2
    assert "configuration '9x9': unknown; the presets are tiny" in capsys.readouterr().err


def test_another_compiler_is_refused_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\ncase "$1" in -E) echo "#define __clang__ 1";; *) echo 14.0.6;; esac\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["simulator", "--config", "tiny", "--optimize"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "g++ is not GCC" in said.err and "or build without optimizing" in said.err
    assert not (tmp_path / "cache").exists()
