"""Verilator's run-time library, compiled once for all models of a variant."""

from pathlib import Path
from threading import Event

from arrayloom.sim.rtl.bundles import write_bundle
from arrayloom.sim.rtl.cache import Cache
from arrayloom.sim.rtl.design import Variant, digest_files
from arrayloom.sim.rtl.gcc import COLD, FST_HEADERS, GENERATED, HARNESS, HOT, compilation, processor
from arrayloom.sim.rtl.process import Report, default_workers, run_jobs
from arrayloom.sim.rtl.toolchain import Toolchain

SOURCES = ("verilated.cpp", "verilated_threads.cpp")
"""Sources of which nothing is called in each cycle."""


def produce_runtime(variant: Variant, toolchain: Toolchain, cache: Cache, report: Report, stop: Event) -> Path:
    """The folder of its objects, from the cache or made now; ``stop`` cancels that."""
    names = [*SOURCES, *([f"verilated_{variant.waves}_c.cpp"] if variant.waves else []),
             *(["verilated_cov.cpp"] if variant.coverage else [])]

    def make(folder: Path, report: Report) -> None:
        report("compile Verilator's run time")
        base = write_bundle(folder / "verilated_base.cpp", [toolchain.include / name for name in SOURCES])
        jobs = [compilation(base, (*GENERATED, *COLD), variant, toolchain, " and ".join(SOURCES))]
        jobs += [compilation(toolchain.include / name, (*GENERATED, *HOT), variant, toolchain)
                 for name in names[len(SOURCES):]]
        run_jobs(jobs, default_workers(), folder, stop=stop)

    own = [Path(__file__), Path(__file__).with_name("gcc.py"), HARNESS / "hooks.h", *sorted(FST_HEADERS.iterdir())]
    key = digest_files(own, *names, processor(), *toolchain.versions)
    return cache.produce("runtime", key, make, report, stop)
