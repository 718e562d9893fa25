"""Builds the library that simulates a design; each step is done once for each content.

The Verilog of a design is cached by the content of its sources, so a second start needs neither Amaranth
nor Yosys. The library is cached by the Verilog, so an edit that does not change the hardware compiles
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.sim.rtl.aside import Aside
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.compile import LIBRARY, compile_library, library_digest, optimized_digest
from arrayloom.sim.rtl.design import FAST, SLEEPLESS, Design, Variant, digest_files
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import FORM, write_form
from arrayloom.sim.rtl.islands.triggers import UnknownModelError
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import Report, Stopwatch
from arrayloom.sim.rtl.runtime import produce_runtime
from arrayloom.sim.rtl.toolchain import converter_versions, find_toolchain
from arrayloom.sim.rtl.verilog import (
    write_activity_verilog,
    write_coverage_verilog,
    write_fast_verilog,
    write_sleepless_verilog,
    write_verilog,
)

VERILOG = "design.v"
OPTIMIZED_KIND = "optimized-simulator"      # in the cache, the results of optimize.py


@dataclass(frozen=True)
class Build:
    """A simulator ready to load.

    Attributes
    ----------
    library
        The shared library.
    verilog
        Verilog file from which it was made.
    word_bytes
        Bytes per word of the design.
    variant
        Variant of the build.
    optimized
        Whether it was optimized with profile counts (optimize.py).
    mutant
        Number of the active planted fault; 0 for none.
    before_close
        Called with each simulator of the build before its model is freed.
    """

    library: Path
    verilog: Path
    word_bytes: int
    variant: Variant
    optimized: bool = False
    mutant: int = 0
    before_close: Callable[[Any], None] | None = None


def build(design: Design, variant: Variant = FAST, cache: Path | None = None, report: Report | None = None,
          workers: int | None = None, workload: str | None = None) -> Build:
    """The simulator of ``design``, from the cache or made now.

    If the cache has one optimized (optimize.py) for the ``workload`` of that digest, it is used. ``cache`` is a folder
    (default ``default_cache()``), ``report`` receives lines of progress (default: stderr, with the time),
    ``workers`` is the number of parallel compilers (default: one per processor).

    Raises ``ToolError`` if a tool is missing and ``BuildError`` if one fails or the cache cannot be written.
    """
    store = Cache(cache or default_cache())
    report = report or Stopwatch()
    toolchain = find_toolchain()
    with Aside(lambda stop: produce_runtime(variant, toolchain, store, report, stop)) as runtime:
        verilog = produce_verilog(design, variant, store, report, runtime.start)

        def make(folder: Path, report: Report) -> None:
            report(f"build the {variant.name} simulator of {design.name}; this is done once")
            try:
                compile_library(verilog, folder, design, variant, toolchain, runtime, report, workers)
            except UnknownModelError as error:
                if variant.twin:
                    raise BuildError(f"{', '.join(toolchain.versions)}: {error}; there is nothing to compare") from error
                report(f"notice: {toolchain.verilator_version} writes C++ of another form than is known here ({error}); "
                       "building without sleeping registers, which runs at half the speed")
                sleepless = produce_verilog(design, SLEEPLESS, store, report)
                compile_library(sleepless, folder, design, SLEEPLESS, toolchain, runtime, report, workers)

        key = library_digest(verilog, design, variant, toolchain)
        if workload is not None and (optimized := store.find(OPTIMIZED_KIND, optimized_digest(key, workload))):
            return Build(optimized / LIBRARY, verilog, design.word_bytes, variant, optimized=True)
        return Build(store.produce("simulator", key, make, report) / LIBRARY, verilog, design.word_bytes, variant)


def produce_verilog(design: Design, variant: Variant, store: Cache, report: Report,
                    begun: Callable[[], None] = lambda: None) -> Path:
    """The Verilog file of ``design`` for that variant, from the cache or made now, with the form of its state next to it.

    ``begun`` is called if it has to be made.
    """
    def make(folder: Path, report: Report) -> None:
        report(f"elaborate {design.name} and turn it into Verilog")
        begun()

        def look(netlist: Netlist) -> None:
            from arrayloom.sim.rtl.canonical import canonical_form

            write_form(canonical_form(netlist), folder / FORM)

        looks = look if design.control and variant.flat else None
        if variant.islands:
            write_fast_verilog(design.make(), folder / VERILOG, look=looks)
        elif variant.activity:
            write_activity_verilog(design.make(), folder / VERILOG)
        elif variant.coverage:
            write_coverage_verilog(design.make(), folder / VERILOG)
        elif variant.both_edges:
            write_sleepless_verilog(design.make(), folder / VERILOG, look=looks)
        else:
            write_verilog(design.make(), folder / VERILOG, checks=variant.checks, hierarchy=not variant.flat, look=looks)

    own = Path(__file__).parent
    converter = [*sorted(own.glob("*.py")), *sorted((own / "islands").glob("*.[jp]*"))]
    key = digest_files(converter, design.digest(), str(design.control), repr(variant), *converter_versions())
    return store.produce("verilog", key, make, report) / VERILOG
