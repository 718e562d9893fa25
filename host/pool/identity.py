"""Which Arrayloom this is: machines that share work must have the same one."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

from arrayloom.sim.rtl.design import digest_files

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("isa", "hdl", "sim", "compiler", "host")
SUFFIXES = {".py", ".h", ".cc", ".cpp"}
SHOWN = 12


@cache
def identity() -> str:
    """The package with its version, and digits that change with any line of its code, installed or in a checkout."""
    files = (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*")) if file.suffix in SUFFIXES)
    return f"arrayloom {version('arrayloom')} ({digest_files(files)[:SHOWN]})"
