"""Options and calls of the C++ compiler."""

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
"""The standard that Verilator's code needs; with C++20 the headers alone take a quarter longer."""
OURS = ("-std=c++20",)
HOT = ("-O2", "--param=dse-max-alias-queries-per-store=32")
"""As fast as -O3 on Verilator's code, with half of the build time. The search for dead stores, of which there are none, is
limited to an eighth of the default, since functions have thousands of stores to one structure. The similar limit for loads
(sccvn-max-alias-queries-per-access) must stay: with fewer steps the array's products are not vectorized."""
INSTRUMENTED = ("-O2", "-fprofile-generate", "-fprofile-update=single", "-DARRAYLOOM_PROFILE")
"""Counts how often each branch is taken; ``single``: one thread runs the model, so counters need not be atomic."""
OPTIMIZED = ("-O2", "-fprofile-use", "-fno-tracer")
"""Uses the counts, which requires the same level of optimization. ``-fprofile-use`` would also duplicate
code after branches, which costs 2 % of speed: the code of a cycle is as large as the instruction cache."""
REFERENCE = ("-std=c++20", "-O2")
"""Options for the code of each cycle before islands existed: the baseline of speed measurements."""
COLD = ("-O0",)
"""Construction, reset and messages run once; optimizing them would take longer than the rest of a build."""


def processor() -> str:
    """The processor's properties on which ``-march=native`` depends."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    found = sorted({line for line in lines if re.match(r"(model name|flags|Features|CPU part)\s*:", line)})
    return "\n".join([platform.machine(), *found])


def compilation(source: Path, options: tuple[str | Path, ...], variant: Variant, toolchain: Toolchain,
                name: str | None = None) -> Job:
    """Compiles ``source`` to an object of its name in the working folder; ``name`` is the job's name in reports."""
    include = ("-isystem", toolchain.include, "-isystem", toolchain.include / "vltstd")
    command = (toolchain.compiler, *COMMON, *options, *_trace(variant), *include, "-c", source, "-o", f"{source.stem}.o")
    return Job(name or source.name, command)


def _trace(variant: Variant) -> tuple[str, ...]:
    formats = (f"-DVM_TRACE_{waves.upper()}={int(variant.waves is waves)}" for waves in WaveFormat)
    headers = (f"-I{FST_HEADERS}",) if variant.waves is WaveFormat.FST else ()
    return (f"-DVM_TRACE={int(variant.waves is not None)}", *formats, f"-DVM_COVERAGE={int(variant.coverage)}", "-DVM_SC=0",
            *headers)
