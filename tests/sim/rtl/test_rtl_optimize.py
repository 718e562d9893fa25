"""Optimized builds behave the same, are used for their own workload alone, and appear complete or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from arrayloom.sim.rtl import compile as compiling
from arrayloom.sim.rtl import optimize as optimizing
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.errors import BuildError, ToolError
from arrayloom.sim.rtl.islands.triggers import UnknownModelError
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.optimize import Workload, optimize

FOLDER = Path(__file__).parent


def silent(text: str) -> None:
    """Discards progress."""


def made_in(cache: Path) -> list[str]:
    """Optimized builds in the cache, finished or not, and other entries, without locks."""
    return [path.name for path in (cache / "optimized-simulator").rglob("*") if path.suffix != ".lock"]


@pytest.fixture
def quick(monkeypatch):
    """Compiles without optimization, for builds that fail anyway."""
    for name in ("INSTRUMENTED", "OPTIMIZED"):
        monkeypatch.setattr(optimizing, name, ("-O0", *getattr(optimizing, name)[1:]))


@pytest.fixture
def run_on(open_bench):
    """Copies a few times on a build; returns the cycles and all written words."""
    def run(made, timing=None):
        with open_bench(made, timing) as bench:
            bench.simulator.record()
            cycles = [bench.copy(words, burst) for words, burst in ((1, 1), (37, 5), (301, 64))]
            return cycles, [bench.simulator.memory.copy(), *bench.simulator.take_trace()]

    return run


def test_it_does_the_same_and_is_taken_for_its_workload_alone(build_copier, copier, rtl_cache, run_on):
    design, plain, ran = copier.design(16), build_copier(16), []

    def run(made):
        ran.append(made.library.name)
        return sum(run_on(made)[0])

    made = optimize(design, Workload("copies", run), rtl_cache, silent)
    assert ran == ["counting.so", "simulator.so"]
    assert min(vars(made.seconds).values()) > 0
    for timing in (Timing(), Timing(7, 3, 2, 40, 5)):
        (cycles, wanted), (again, found) = run_on(plain, timing), run_on(made.build, timing)
        assert cycles == again
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other)

    second = optimize(design, Workload("copies", pytest.fail), rtl_cache, pytest.fail)
    assert (second.build, second.seconds) == (made.build, None)
    assert made.build.optimized and not plain.optimized
    for digest, wanted in (("copies", made.build), ("other copies", plain), (None, plain)):
        assert build(design, cache=rtl_cache, report=pytest.fail, workload=digest) == wanted
    left = {path.name for path in made.build.library.parent.iterdir()}
    assert left == {path.name for path in plain.library.parent.iterdir()} == {"model", "simulator.so"}


def test_what_fails_leaves_nothing(fresh_cache):
    """Neither the profile counts, which GCC's runtime would write at exit, nor the folders for them."""
    code = ("import sys; from pathlib import Path; import numpy as np; from copier import design\n"
            "from arrayloom.sim.rtl import optimize as optimizing\n"
            "from arrayloom.sim.rtl.simulator import RtlSimulator\n"
            "optimizing.INSTRUMENTED = ('-O0', *optimizing.INSTRUMENTED[1:])\n"
            "def run(made):\n"
            "    with RtlSimulator(made, np.zeros(4096, np.uint8)) as simulator:\n"
            "        simulator.run(1000)\n"
            "    raise ValueError('as bad as can be')\n"
            "optimizing.optimize(design(4), optimizing.Workload('fails', run), Path(sys.argv[1]))")
    done = subprocess.run([sys.executable, "-c", code, str(fresh_cache)], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONPATH": str(FOLDER)})
    assert done.returncode == 1 and "run the workload" in done.stderr and "ValueError: as bad as can be" in done.stderr
    assert made_in(fresh_cache) == []


@pytest.mark.usefixtures("quick")
def test_other_cycles_are_a_fault(copier, fresh_cache):
    cycles = {"counting.so": 1000, "simulator.so": 1001}
    with pytest.raises(BuildError, match="took 1000 cycles, and 1001 on the optimized build: this is a fault of the comp"):
        optimize(copier.design(4), Workload("wrong", lambda made: cycles[made.library.name]), fresh_cache, silent)
    assert made_in(fresh_cache) == []


@pytest.mark.usefixtures("quick")
def test_counts_that_go_elsewhere(monkeypatch, copier, fresh_cache, tmp_path):
    monkeypatch.setenv("GCOV_PREFIX", str(tmp_path / "elsewhere"))
    with pytest.raises(BuildError, match=r"0 of \d files of counts: GCC has not written .*Is GCOV_PREFIX set\? Unset it"):
        optimize(copier.design(4), Workload("elsewhere", lambda made: len(made.library.name)), fresh_cache, silent)
    assert made_in(fresh_cache) == []


def test_another_compiler_is_refused(fake_compiler, copier, fresh_cache):
    fake_compiler('case "$1" in -dump*) echo 1.2.3;; -E) echo "#define __GNUC__ 4"; echo "#define __clang__ 1";; esac')
    with pytest.raises(ToolError, match=r"g\+\+ is not GCC, .*put GCC's g\+\+ first on PATH, .*or build without optimizing"):
        optimize(copier.design(4), Workload("never", pytest.fail), fresh_cache, silent)


def test_a_model_of_another_form_is_refused(monkeypatch, copier, fresh_cache):
    def refuse(*arguments):
        raise UnknownModelError(f"{arguments[1].name} is empty")

    monkeypatch.setattr(compiling, "prepare_islands", refuse)
    with pytest.raises(BuildError, match=r"verilator \S+, .*model is empty; only a build with sleeping registers is opti"):
        optimize(copier.design(4), Workload("never", pytest.fail), fresh_cache, silent)
    assert made_in(fresh_cache) == []
