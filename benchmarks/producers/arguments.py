"""What every script takes and does with it; it imports no producer."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def chosen(description: str | None, names: Iterable[str]) -> tuple[Path, Sequence[str]]:
    """The folder of the command line, made where it is missing, and the networks: all, or those that --only names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(names), default=sorted(names), metavar="NAME")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    return given.folder, given.only


def write_each(names: Sequence[str], folder: Path, write: Callable[[str, Path], None]) -> None:
    """Write each network; one that the producer refuses is named with its reason and left out."""
    for name in names:
        try:
            write(name, folder)
        except Exception as error:  # whatever the producer cannot do is not ours to run
            print(f"{name}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}", flush=True)
        else:
            print(name, flush=True)
