"""Identifies the installed Arrayloom: machines that share work must have the same one."""

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
    """The package's version and a hash of its code, for installations and checkouts alike."""
    files = (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*")) if file.suffix in SUFFIXES)
    return f"arrayloom {version('arrayloom')} ({digest_files(files)[:SHOWN]})"
