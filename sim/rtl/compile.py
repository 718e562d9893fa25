"""Verilog to a shared library: Verilator, then the C++ compiler on each file."""

import platform
import re
from pathlib import Path

from arrayloom.sim.rtl.banks import write_banks
from arrayloom.sim.rtl.cache import Cache
from arrayloom.sim.rtl.design import Design, Variant, WaveFormat, digest_files
from arrayloom.sim.rtl.digest import write_digest
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import FORM, read_form
from arrayloom.sim.rtl.members import Members
from arrayloom.sim.rtl.process import Job, Report, default_workers, run_jobs, run_tool
from arrayloom.sim.rtl.toolchain import FST_LIBRARIES, Toolchain, require_fst
from arrayloom.sim.rtl.verilog import TOP

LIBRARY = "simulator.so"
HARNESS = Path(__file__).parent / "harness"
FST_HEADERS = Path(__file__).parent / "fst"

MODEL = "model"
VERILATE = ("--cc", "--no-timing", "-O3", "--prefix", "Vtop", "--top-module", TOP, "-Wno-lint", "-Wno-fatal",
            "--output-split", "10000", "--output-split-cfuncs", "5000", "--Mdir", MODEL)
COMMON = ("-std=c++20", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-march=native", "-DVL_TIME_CONTEXT",
          "-include", str(HARNESS / "hooks.h"))
HOT = ("-O2",)
"""As fast as -O3 on what Verilator writes, in half of the time to build."""
COLD = ("-O0",)
"""Construction and reset run once; optimising them takes longer than the rest of a build."""


def library_digest(verilog: Path, design: Design, variant: Variant, toolchain: Toolchain) -> str:
    """Changes with anything that the library of that Verilog depends on, this processor included."""
    form = verilog.with_name(FORM)
    texts = (verilog.read_text(), form.read_text() if form.exists() else "")
    return digest_files(_own_sources(), *texts, str(design.word_bytes), repr(design.banks), repr(variant), processor(),
                        *toolchain.versions)


def processor() -> str:
    """What ``-march=native`` depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    found = sorted({line for line in lines if re.match(r"(model name|flags|Features|CPU part)\s*:", line)})
    return "\n".join([platform.machine(), *found])


def compile_library(verilog: Path, folder: Path, design: Design, variant: Variant, toolchain: Toolchain, cache: Cache,
                    report: Report, workers: int | None = None) -> None:
    """Makes ``folder / LIBRARY`` from the Verilog file, which is read from ``folder`` too.

    Raises ``BuildError`` with a tool's message when it fails, ``ToolError`` when a library is missing.
    """
    if variant.waves is WaveFormat.FST:
        require_fst()
    workers = workers or default_workers()
    runtime = _runtime(variant, toolchain, cache, report, workers)
    report("verilate")
    command: list[str | Path] = [toolchain.verilator, *VERILATE, *variant.verilator_options, verilog]
    run_tool(command, "Verilator", folder, toolchain.environment())
    members = Members(folder / MODEL)
    write_banks(members, design.banks, design.word_bytes, folder / MODEL)
    _write_digest(verilog, members, folder / MODEL, report)
    definitions = (f"-DARRAYLOOM_WORD_BYTES={design.word_bytes}", f"-DARRAYLOOM_BOTH_EDGES={int(variant.both_edges)}")
    sources = sorted((folder / MODEL).glob("*.cpp"), key=lambda file: -file.stat().st_size) + _harness_units()
    jobs = _compilations(sources, folder, (*definitions, *_trace(variant)), toolchain)
    run_jobs(jobs, workers, folder, lambda index, job: report(f"compile {index + 1} of {len(jobs)}: {job.name}"))
    report("link")
    objects = [*sorted(folder.glob("*.o")), *sorted(runtime.glob("*.o"))]
    libraries = [f"-l:{name}" for name in FST_LIBRARIES] if variant.waves is WaveFormat.FST else []
    run_tool([toolchain.compiler, "-shared", "-o", LIBRARY, *objects, "-pthread", *libraries], "the linker", folder)
    for file in folder.glob("*.o"):
        file.unlink()


def _write_digest(verilog: Path, members: Members, folder: Path, report: Report) -> None:
    """The digest, which simulations do without when another Verilator names registers in another way."""
    try:
        write_digest(read_form(verilog.with_name(FORM)), members, verilog.read_text(), folder)
    except BuildError as error:
        report(f"without digests of the control state, so that segments of a run are not joined exactly: {error}")
        write_digest(None, members, "", folder)


def _runtime(variant: Variant, toolchain: Toolchain, cache: Cache, report: Report, workers: int) -> Path:
    """Objects of Verilator's run-time library, which every model of a variant shares."""
    names = ["verilated.cpp", "verilated_threads.cpp", *([f"verilated_{variant.waves}_c.cpp"] if variant.waves else [])]

    def make(folder: Path) -> None:
        report("compile Verilator's run time")
        run_jobs(_compilations([toolchain.include / name for name in names], folder, _trace(variant), toolchain),
                 workers, folder)

    key = digest_files(_own_sources(), *names, processor(), *toolchain.versions)
    return cache.produce("runtime", key, make, report)


def _compilations(sources: list[Path], folder: Path, definitions: tuple[str, ...], toolchain: Toolchain) -> list[Job]:
    include: tuple[str | Path, ...] = (f"-I{folder / MODEL}", "-isystem", toolchain.include,
                                       "-isystem", toolchain.include / "vltstd")
    jobs = []
    for source in sources:
        level = COLD if source.stem.endswith("__Slow") else HOT
        options = (*COMMON, *level, *definitions, *include)
        jobs.append(Job(source.name, (toolchain.compiler, *options, "-c", source, "-o", f"{source.stem}.o")))
    return jobs


def _trace(variant: Variant) -> tuple[str, ...]:
    formats = (f"-DVM_TRACE_{waves.upper()}={int(variant.waves is waves)}" for waves in WaveFormat)
    headers = (f"-I{FST_HEADERS}",) if variant.waves is WaveFormat.FST else ()
    return (f"-DVM_TRACE={int(variant.waves is not None)}", *formats, "-DVM_COVERAGE=0", "-DVM_SC=0", *headers)


def _harness_units() -> list[Path]:
    return sorted(HARNESS.glob("*.cpp"))


def _own_sources() -> list[Path]:
    generators = [Path(__file__).with_name(name) for name in ("members.py", "banks.py", "digest.py", "form.py")]
    return [Path(__file__), *generators, *sorted(HARNESS.iterdir()), *sorted(FST_HEADERS.iterdir())]
