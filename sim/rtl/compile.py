"""Verilog to a shared library: Verilator, then the C++ compiler on bundles of files."""

import shutil
from pathlib import Path

from arrayloom.sim.rtl.aside import Aside
from arrayloom.sim.rtl.banks import write_banks
from arrayloom.sim.rtl.bundles import bundles, title, write_bundle
from arrayloom.sim.rtl.design import Design, Variant, WaveFormat, digest_files
from arrayloom.sim.rtl.digest import write_digest
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import FORM, read_form
from arrayloom.sim.rtl.gcc import COLD, FST_HEADERS, GENERATED, HARNESS, HOT, OURS, REFERENCE, compilation, processor
from arrayloom.sim.rtl.islands.model import prepare_islands
from arrayloom.sim.rtl.members import Members
from arrayloom.sim.rtl.process import Job, Report, default_workers, run_jobs, run_tool
from arrayloom.sim.rtl.toolchain import FST_LIBRARIES, Toolchain, require_fst
from arrayloom.sim.rtl.verilog import TOP

LIBRARY = "simulator.so"
MODEL = "model"
VERILATE = ("--cc", "--no-timing", "-O3", "--prefix", "Vtop", "--top-module", TOP, "-Wno-lint", "-Wno-fatal",
            "--output-split", "10000", "--output-split-cfuncs", "5000", "--Mdir", MODEL)


def library_digest(verilog: Path, design: Design, variant: Variant, toolchain: Toolchain) -> str:
    """Changes with anything that the library of that Verilog depends on, this processor included."""
    here = Path(__file__)
    generators = ("gcc.py", "bundles.py", "runtime.py", "members.py", "banks.py", "digest.py", "form.py")
    own = [here, *map(here.with_name, generators), *sorted(here.with_name("islands").glob("*.py")),
           *sorted(HARNESS.iterdir()), *sorted(FST_HEADERS.iterdir())]
    form = verilog.with_name(FORM)
    texts = (verilog.read_text(), form.read_text() if form.exists() else "")
    return digest_files(own, *texts, str(design.word_bytes), repr(design.banks), repr(variant), processor(),
                        *toolchain.versions)


def compile_library(verilog: Path, folder: Path, design: Design, variant: Variant, toolchain: Toolchain,
                    runtime: Aside[Path], report: Report, workers: int | None = None) -> None:
    """Makes ``folder / LIBRARY`` from the Verilog file, which is read from ``folder`` too.

    ``runtime`` gives the folder of Verilator's run time. Raises ``BuildError`` with a tool's message when it fails,
    ``ToolError`` when a library is missing, and ``UnknownModelError`` when Verilator's C++ is not as the islands need it.
    """
    if variant.waves is WaveFormat.FST:
        require_fst()
    runtime.start()
    report("verilate")
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    command: list[str | Path] = [toolchain.verilator, *VERILATE, *variant.verilator_options, verilog]
    run_tool(command, "Verilator", folder, toolchain.environment())
    if variant.islands:
        prepare_islands(verilog.parent, folder / MODEL, variant.twin)
    members = Members(folder / MODEL)
    write_banks(members, design.banks, design.word_bytes, folder / MODEL)
    _write_digest(verilog, members, folder / MODEL, report)
    run_time = runtime.result()
    definitions = (f"-DARRAYLOOM_WORD_BYTES={design.word_bytes}", f"-DARRAYLOOM_BOTH_EDGES={int(variant.both_edges)}",
                   f"-DARRAYLOOM_ISLANDS={int(variant.islands)}", f"-DARRAYLOOM_TWIN={int(variant.twin)}",
                   f"-DARRAYLOOM_ACTIVITY={int(variant.activity)}")
    jobs = _compilations(folder, definitions, variant, toolchain)
    run_jobs(jobs, workers or default_workers(), folder,
             lambda index, job: report(f"compile {index + 1} of {len(jobs)}: {job.name}"))
    report("link")
    objects = [*sorted(folder.glob("*.o")), *sorted(run_time.glob("*.o"))]
    libraries = [f"-l:{name}" for name in FST_LIBRARIES] if variant.waves is WaveFormat.FST else []
    run_tool([toolchain.compiler, "-shared", "-o", LIBRARY, *objects, "-pthread", *libraries], "the linker", folder)
    for file in folder.glob("bundle_*"):
        file.unlink()


def _write_digest(verilog: Path, members: Members, folder: Path, report: Report) -> None:
    """The digest, which simulations do without when another Verilator names registers in another way."""
    try:
        write_digest(read_form(verilog.with_name(FORM)), members, verilog.read_text(), folder)
    except BuildError as error:
        report(f"without digests of the control state, so that segments of a run are not joined exactly: {error}")
        write_digest(None, members, "", folder)


def _compilations(folder: Path, definitions: tuple[str, ...], variant: Variant, toolchain: Toolchain) -> list[Job]:
    """What Verilator wrote for every cycle, then the harness, then what it wrote for construction and reset."""
    written = set((folder / MODEL).glob("*.cpp"))
    slow = {file for file in written if file.stem.endswith("__Slow")}
    harness = sorted(HARNESS.glob("*.cpp"))
    groups: list[tuple[tuple[str, ...], list[Path]]]
    if variant.reference:
        groups = [(REFERENCE, [file]) for file in [*sorted(written - slow, key=_larger_first), *harness]]
    else:
        groups = [*(((*GENERATED, *HOT), group) for group in bundles(written - slow)), ((*OURS, *HOT), harness)]
    groups += [((*GENERATED, *COLD), group) for group in bundles(slow)]
    model = (f"-I{folder / MODEL}", *definitions)
    return [compilation(write_bundle(folder / f"bundle_{index}.cpp", files), (*options, *model), variant, toolchain,
                        title(files)) for index, (options, files) in enumerate(groups)]


def _larger_first(file: Path) -> tuple[int, str]:
    return -file.stat().st_size, file.name
