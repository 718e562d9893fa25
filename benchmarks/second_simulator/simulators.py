"""The two simulators of the bench."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from arrayloom.host.runtime.export import TOP as CORE
from arrayloom.host.runtime.export import export_verilog
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.design import accelerator, digest_files
from arrayloom.sim.rtl.errors import SimulationError, ToolError
from arrayloom.sim.rtl.process import DEEP_STACK, Report, run_tool
from arrayloom.sim.rtl.toolchain import find_toolchain
from benchmarks.second_simulator.bench import BENCH, TOP, Simulate, parameters
from benchmarks.second_simulator.strip import strip_power_up

STRIPPED = "stripped.v"
PROGRAM = "bench"
VERILATE = ("--cc", "--exe", "--main", "--timing", "--prefix", "Vbench", "--top-module", TOP, "-Wno-fatal", "-Wno-lint",
            "--output-split", "10000")
RUN_TIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_timing.cpp")
DEFINES = ("-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0")
HOUR = 3600


def require_icarus() -> Path:
    """The compiler ``iverilog``; raises ``ToolError`` if it or its run time is missing."""
    for tool in ("iverilog", "vvp"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is not on PATH: the second simulator is Icarus Verilog. Install it, for example with "
                            "'apt-get install iverilog'")
    return Path(str(shutil.which("iverilog")))


def icarus(config: Config, folder: Path, report: Report) -> Simulate:
    """Icarus Verilog with the exported core of ``config``, without its power-up values. Built in ``folder``."""
    require_icarus()
    report(f"compile {config.name} with Icarus Verilog")
    exported, stripped = export_verilog(config, folder)[0], folder / STRIPPED
    stripped.write_text(strip_power_up(exported.read_text()))
    return compile_icarus(config, stripped)


def compile_icarus(config: Config, verilog: Path) -> Simulate:
    """Icarus Verilog with that file as the core. Built in its folder."""
    simulation = verilog.with_name("bench.vvp").resolve()
    run_tool([require_icarus(), "-g2005", "-s", TOP, "-o", simulation, *(f"-P{TOP}.{name}={value}" for name, value in
             parameters(config).items()), BENCH, verilog.resolve()], "Icarus Verilog", verilog.parent)
    return _simulate(["vvp", "-n", str(simulation)])


def verilator(config: Config, report: Report, cache: Path | None = None) -> Simulate:
    """Verilator with the exported core of ``config``, from the cache or built now."""
    tools = find_toolchain()

    def make(folder: Path, report: Report) -> None:
        report(f"build {config.name} with the bench for Verilator; this is done once")
        exported = export_verilog(config, folder)[0]
        run_tool([tools.verilator, *VERILATE, "--Mdir", folder, *(f"-G{name}={value}" for name, value in
                 parameters(config).items()), BENCH, exported], "Verilator", folder, tools.environment())
        sources = [*sorted(folder.glob("*.cpp")), *(tools.include / name for name in RUN_TIME)]
        report("compile its C++")
        run_tool([tools.compiler, "-std=gnu++20", "-fcoroutines", "-O0", *DEFINES, f"-I{folder}", f"-I{tools.include}",
                  f"-I{tools.include / 'vltstd'}", "-o", PROGRAM, *sources, "-pthread"], "the compiler", folder)
        for file in folder.iterdir():
            if file.name != PROGRAM:
                file.unlink()

    own = [Path(__file__), BENCH, *sorted(Path(__file__).parents[2].glob("sim/rtl/*.py"))]
    key = digest_files(own, accelerator(config).digest(), repr(parameters(config)), *tools.versions)
    return _simulate([str(Cache(cache or default_cache()).produce("second-simulator", key, make, report) / PROGRAM)])


def _simulate(command: Sequence[str]) -> Simulate:
    def simulate(folder: Path, arguments: list[str]) -> str:
        done = subprocess.run([*DEEP_STACK, *command, *arguments], cwd=folder, capture_output=True, text=True, check=False,
                              timeout=HOUR)
        if done.returncode:
            raise SimulationError(f"{Path(command[0]).name} of {CORE} failed with exit code {done.returncode}:\n"
                                  f"{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    return simulate
