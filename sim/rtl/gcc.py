"""How the C++ compiler is called."""

import platform
import re
from pathlib import Path

from arrayloom.sim.rtl.design import Variant, WaveFormat
from arrayloom.sim.rtl.process import Job
from arrayloom.sim.rtl.toolchain import Toolchain

HARNESS = Path(__file__).parent / "harness"
FST_HEADERS = Path(__file__).parent / "fst"

COMMON = ("-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-march=native", "-DVL_TIME_CONTEXT",
          "-include", str(HARNESS / "hooks.h"))
GENERATED = ("-std=c++17",)
"""What Verilator writes needs no more, and of C++20 the headers alone take a quarter longer."""
OURS = ("-std=c++20",)
HOT = ("-O2", "--param=dse-max-alias-queries-per-store=32")
"""As fast as -O3 on what Verilator writes, in half of the time to build. Dead stores, of which there are none, are searched
for in an eighth of the usual steps, in functions of thousands of stores to one structure. The like limit for loads
(sccvn-max-alias-queries-per-access) must stay: with fewer steps the array's products are not vectorized."""
INSTRUMENTED = ("-O2", "-fprofile-generate", "-fprofile-update=single", "-DARRAYLOOM_PROFILE")
"""Counts how often each branch is taken; ``single``: one thread runs the model, so that a count is an ordinary sum."""
OPTIMIZED = ("-O2", "-fprofile-use", "-fno-tracer")
"""Reads what was counted, which fits only what was compiled with the same level of optimization. Copies of what follows a
branch, which ``-fprofile-use`` would make, cost 2 % of speed: what runs in a cycle is as large as the instruction cache."""
REFERENCE = ("-std=c++20", "-O2")
"""With which all that runs in each cycle was compiled before registers slept: what speed is measured against."""
COLD = ("-O0",)
"""Construction, reset and messages run once; optimising them takes longer than the rest of a build."""


def processor() -> str:
    """What ``-march=native`` depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    found = sorted({line for line in lines if re.match(r"(model name|flags|Features|CPU part)\s*:", line)})
    return "\n".join([platform.machine(), *found])


def compilation(source: Path, options: tuple[str | Path, ...], variant: Variant, toolchain: Toolchain,
                name: str | None = None) -> Job:
    """Compiles ``source`` to an object of its name in the working folder; ``name`` is what the job is reported as."""
    include = ("-isystem", toolchain.include, "-isystem", toolchain.include / "vltstd")
    command = (toolchain.compiler, *COMMON, *options, *_trace(variant), *include, "-c", source, "-o", f"{source.stem}.o")
    return Job(name or source.name, command)


def _trace(variant: Variant) -> tuple[str, ...]:
    formats = (f"-DVM_TRACE_{waves.upper()}={int(variant.waves is waves)}" for waves in WaveFormat)
    headers = (f"-I{FST_HEADERS}",) if variant.waves is WaveFormat.FST else ()
    return (f"-DVM_TRACE={int(variant.waves is not None)}", *formats, f"-DVM_COVERAGE={int(variant.coverage)}", "-DVM_SC=0",
            *headers)
