"""Arguments and main loop of every script; imports no producer."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def chosen(description: str | None, names: Iterable[str]) -> tuple[Path, Sequence[str]]:
    """The folder of the command line, created if missing, and the networks: all, or those named by --only."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(names), default=sorted(names), metavar="NAME")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    return given.folder, given.only


def write_each(names: Sequence[str], folder: Path, write: Callable[[str, Path], None]) -> None:
    """Write each network; networks refused by the producer are reported with the reason and skipped."""
    for name in names:
        try:
            write(name, folder)
        except Exception as error:  # any failure of the producer only skips the network
            print(f"{name}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}", flush=True)
        else:
            print(name, flush=True)
