"""The simulated system as a program: built by Verilator and the C++ compiler, started, and used like a board."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arrayloom.host.board.extra import SYSTEM, require_extra, versions
from arrayloom.host.board.memories import PLAIN_MEMORY_BYTES, SimulatedMemory
from arrayloom.host.board.quiet import quiet
from arrayloom.host.runtime.board import description
from arrayloom.host.runtime.errors import BoardError
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.design import accelerator, digest_files
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.process import Job, Report, Stopwatch, default_workers, run_jobs, run_tool
from arrayloom.sim.rtl.toolchain import Toolchain, find_toolchain

PROGRAM = "system"
HARNESS = Path(__file__).parent / "harness"
RTL_HARNESS = Path(description.__file__).parents[3] / "sim" / "rtl" / "harness"
SOURCES = ("simulator.py", "simulated.py", "memories.py", "system.py", "lanes.py", "core.py")
"""The sources of the system, in addition to the accelerator."""
RUN_TIME = ("verilated.cpp", "verilated_threads.cpp")
MODEL = "model"
TOP = "top"
VERILATE = ("--cc", "--no-timing", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--prefix", "Vtop",
            "--top-module", TOP, "-Wno-lint", "-Wno-fatal", "--output-split", "10000", "--Mdir", MODEL)
COMPILE = ("-std=c++20", "-march=native", "-DVL_TIME_CONTEXT", "-DVM_TRACE=0", "-DVM_COVERAGE=0", "-DVM_SC=0")


def build_system(config: Config, memory: SimulatedMemory, cache: Path | None = None, report: Report | None = None) -> Path:
    """The program that simulates the system around the accelerator of ``config``, from the cache or built now.

    Raises ``BoardError`` if a package of the extra is missing, ``ToolError`` for other tools, ``BuildError`` if one
    fails.
    """
    require_extra(SYSTEM)
    toolchain = find_toolchain()

    def make(folder: Path, report: Report) -> None:
        from arrayloom.host.board.simulated import SimulatedSystem

        report(f"make the system around the accelerator {config.name} with {memory} memory; this is done once")
        with quiet():
            files = SimulatedSystem(config, memory, folder).write(folder)
        report("verilate")
        run_tool([toolchain.verilator, *VERILATE, *files], "Verilator", folder, toolchain.environment())
        _compile(folder, toolchain, config, memory, report)

    own = [*(Path(__file__).with_name(name) for name in SOURCES), Path(description.__file__), *sorted(HARNESS.iterdir()),
           *sorted(RTL_HARNESS.iterdir())]
    key = digest_files(own, accelerator(config).digest(), memory, *toolchain.versions, *versions(SYSTEM))
    return Cache(cache or default_cache()).produce("board", key, make, report or Stopwatch()) / PROGRAM


def _compile(folder: Path, toolchain: Toolchain, config: Config, memory: SimulatedMemory, report: Report) -> None:
    macros = {"WORD_BYTES": config.size, "PLAIN_MEMORY": int(memory is SimulatedMemory.PLAIN),
              "MEMORY_BYTES": PLAIN_MEMORY_BYTES, "MEMORY_BASE": description.MEMORY}
    options: list[str | Path] = [*COMPILE, *(f"-DARRAYLOOM_{name}={value}" for name, value in macros.items()), "-I", MODEL,
               "-I", HARNESS, "-I", RTL_HARNESS, "-isystem", toolchain.include, "-isystem", toolchain.include / "vltstd"]
    sources = [*sorted((folder / MODEL).glob("*.cpp"), key=lambda file: -file.stat().st_size), HARNESS / "main.cpp",
               *(toolchain.include / name for name in RUN_TIME)]
    jobs = []
    for source in sources:
        level = "-O0" if source.stem.endswith("__Slow") else "-O2"      # functions called once are not worth optimizing
        jobs.append(Job(source.name, [toolchain.compiler, *options, level, "-c", source, "-o", f"{source.stem}.o"]))
    run_jobs(jobs, default_workers(), folder, lambda index, job: report(f"compile {index + 1} of {len(jobs)}: {job.name}"))
    run_tool([toolchain.compiler, "-o", PROGRAM, *(f"{source.stem}.o" for source in sources), "-pthread"], "the linker",
             folder)


@contextmanager
def running_system(config: Config, memory: SimulatedMemory = SimulatedMemory.SDRAM, timing: Timing | None = None,
                   report: Report | None = None) -> Iterator[str]:
    """Runs the simulated system and yields its port; it ends with the block.

    ``timing`` applies to plain memory, without stalls. Raises the errors of ``build_system``, and ``BoardError`` if the
    system has ended by itself.
    """
    chosen = timing or Timing()
    if chosen.stall_percent:
        raise BoardError(f"memory timing stall_percent = {chosen.stall_percent}: the simulated system has no stalls")
    program = build_system(config, memory, report=report)
    arguments = [str(value) for value in (chosen.latency, chosen.outstanding, chosen.beat_interval)]
    with subprocess.Popen([program, *arguments], cwd=program.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            port = (process.stdout.readline() if process.stdout else "").strip()
            if not port:
                raise _ended(process)
            try:
                yield f"socket://127.0.0.1:{port}"
            except BoardError:
                if process.poll():
                    raise _ended(process) from None
                raise
        finally:
            process.kill()


def _ended(process: "subprocess.Popen[str]") -> BoardError:
    text = process.stderr.read().strip() if process.stderr else ""
    return BoardError(f"the simulated system has ended: {text or f'exit code {process.wait()}'}")
