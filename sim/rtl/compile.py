"""Compiles Verilog to a shared library: Verilator, then the C++ compiler on bundles of files."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
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
BUNDLE = "bundle_"
VERILATE = ("--cc", "--no-timing", "-O3", "--prefix", "Vtop", "--top-module", TOP, "-Wno-lint", "-Wno-fatal",
            "--output-split", "10000", "--output-split-cfuncs", "5000", "--Mdir", MODEL)


def library_digest(verilog: Path, design: Design, variant: Variant, toolchain: Toolchain) -> str:
    """A digest of everything that the library of that Verilog depends on, including this processor."""
    here = Path(__file__)
    generators = ("gcc.py", "bundles.py", "runtime.py", "members.py", "banks.py", "digest.py", "form.py")
    own = [here, *map(here.with_name, generators), *sorted(here.with_name("islands").glob("*.py")),
           *sorted(HARNESS.iterdir()), *sorted(FST_HEADERS.iterdir())]
    form = verilog.with_name(FORM)
    texts = (verilog.read_text(), form.read_text() if form.exists() else "")
    return digest_files(own, *texts, str(design.word_bytes), repr(design.banks), repr(variant), processor(),
                        *toolchain.versions)


def optimized_digest(library: str, workload: str) -> str:
    """A digest of everything that the optimized library depends on.

    ``library`` is the digest of the plain library, ``workload`` that of the training workload.
    """
    return digest_files([Path(__file__).with_name("optimize.py")], library, workload)


@dataclass(frozen=True)
class Compilation:
    """Makes a library from C++, step by step.

    Attributes
    ----------
    folder
        The working folder.
    workers
        Number of parallel compilers; None: one per processor.
    """

    folder: Path
    design: Design
    variant: Variant
    toolchain: Toolchain
    report: Report
    workers: int | None = None

    def write_model(self, verilog: Path) -> None:
        """Fills ``folder / MODEL`` with Verilator's C++ of the Verilog file and the generated headers of the harness.

        Raises ``BuildError`` with Verilator's message if it fails, and ``UnknownModelError`` if its C++ does not have the
        form that islands need.
        """
        self.report("verilate")
        model = self.folder / MODEL
        shutil.rmtree(model, ignore_errors=True)
        command: list[str | Path] = [self.toolchain.verilator, *VERILATE, *self.variant.verilator_options, verilog]
        run_tool(command, "Verilator", self.folder, self.toolchain.environment())
        if self.variant.islands:
            prepare_islands(verilog.parent, model, self.variant.twin)
        members = Members(model)
        write_banks(members, self.design.banks, self.design.word_bytes, model)
        _write_digest(verilog, members, model, self.report)

    def hot(self, options: tuple[str, ...] = HOT) -> list[Job]:
        """Compilations, with ``options``, of the code of every cycle: Verilator's part, then the harness."""
        written, harness = self._written(slow=False), sorted(HARNESS.glob("*.cpp"))
        groups: list[tuple[tuple[str, ...], list[Path]]]
        if self.variant.reference:
            groups = [(REFERENCE, [file]) for file in [*sorted(written, key=_larger_first), *harness]]
        else:
            groups = [*(((*GENERATED, *options), group) for group in bundles(written)), ((*OURS, *options), harness)]
        return self._jobs("hot", groups)

    def cold(self) -> list[Job]:
        """Compilations of Verilator's code for construction and reset."""
        return self._jobs("cold", [((*GENERATED, *COLD), group) for group in bundles(self._written(slow=True))])

    def compile(self, jobs: Sequence[Job]) -> None:
        """Runs the jobs; each creates an object in the folder. Raises ``BuildError`` if one fails."""
        run_jobs(jobs, self.workers or default_workers(), self.folder,
                 lambda index, job: self.report(f"compile {index + 1} of {len(jobs)}: {job.name}"))

    def link(self, run_time: Path, library: str = LIBRARY, options: tuple[str, ...] = ()) -> None:
        """Links the library in the folder from its objects and those of Verilator's run time in ``run_time``."""
        self.report("link")
        objects = [*sorted(self.folder.glob("*.o")), *sorted(run_time.glob("*.o"))]
        libraries = [f"-l:{name}" for name in FST_LIBRARIES] if self.variant.waves is WaveFormat.FST else []
        run_tool([self.toolchain.compiler, "-shared", *options, "-o", library, *objects, "-pthread", *libraries],
                 "the linker", self.folder)

    def clean(self) -> None:
        """Removes the bundles and their objects."""
        for file in self.folder.glob(f"{BUNDLE}*"):
            file.unlink()

    def _written(self, slow: bool) -> set[Path]:
        return {file for file in (self.folder / MODEL).glob("*.cpp") if file.stem.endswith("__Slow") is slow}

    def _jobs(self, kind: str, groups: Sequence[tuple[tuple[str, ...], list[Path]]]) -> list[Job]:
        flags = {"BOTH_EDGES": self.variant.both_edges, "ISLANDS": self.variant.islands, "TWIN": self.variant.twin,
                 "ACTIVITY": self.variant.activity, "MUTANTS": self.variant.mutants}
        model = (f"-I{self.folder / MODEL}", f"-DARRAYLOOM_WORD_BYTES={self.design.word_bytes}",
                 *(f"-DARRAYLOOM_{name}={int(value)}" for name, value in flags.items()))
        return [compilation(write_bundle(self.folder / f"{BUNDLE}{kind}_{index}.cpp", files), (*options, *model),
                            self.variant, self.toolchain, title(files)) for index, (options, files) in enumerate(groups)]


def compile_library(verilog: Path, folder: Path, design: Design, variant: Variant, toolchain: Toolchain,
                    runtime: Aside[Path], report: Report, workers: int | None = None) -> None:
    """Makes ``folder / LIBRARY`` from the Verilog file, which is read from ``folder`` too.

    ``runtime`` returns the folder of Verilator's run time. Raises ``BuildError`` with a tool's message if it fails,
    ``ToolError`` if a library is missing, and ``UnknownModelError`` if Verilator's C++ does not have the form that islands
    need.
    """
    if variant.waves is WaveFormat.FST:
        require_fst()
    runtime.start()
    work = Compilation(folder, design, variant, toolchain, report, workers)
    work.write_model(verilog)
    run_time = runtime.result()
    work.compile([*work.hot(), *work.cold()])
    work.link(run_time)
    work.clean()


def _write_digest(verilog: Path, members: Members, folder: Path, report: Report) -> None:
    """Writes the digest code; simulations work without it if another version of Verilator names registers differently."""
    try:
        write_digest(read_form(verilog.with_name(FORM)), members, verilog.read_text(), folder)
    except BuildError as error:
        report(f"without digests of the control state, so that segments of a run are not joined exactly: {error}")
        write_digest(None, members, "", folder)


def _larger_first(file: Path) -> tuple[int, str]:
    return -file.stat().st_size, file.name
