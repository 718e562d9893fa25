"""Folders that are made once for each content, by the process that needs one first."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from arrayloom.isa.files import leftovers, make_folder_atomically
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.process import Report
from arrayloom.sim.rtl.turns import take_turn

Make = Callable[[Path, Report], None]
"""Fills an empty folder; the report is for its progress, which is passed on to processes that wait for the folder."""


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/arrayloom``, or ``~/.cache/arrayloom``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "arrayloom"


class Cache:
    """Entries ``root/kind/key``. An entry is complete or absent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of the entry, if it exists."""
        entry = self.root / kind / key
        return entry if entry.is_dir() else None

    def produce(self, kind: str, key: str, make: Make, report: Report, stop: Event | None = None) -> Path:
        """The folder of the entry; if it does not exist, ``make`` fills an empty one.

        While another process makes the same entry, this one waits and reports that one's progress; if that one
        dies, this one makes the entry. The next process removes the leftovers of an interrupted one. Raises
        ``BuildError`` when the cache cannot be written, ``StoppedError`` when ``stop`` is set while it waits.
        """
        if found := self.find(kind, key):
            return found
        entry = self.root / kind / key
        with self._writable():
            entry.parent.mkdir(parents=True, exist_ok=True)
            with take_turn(entry.with_name(f"{key}.lock"), kind, report, stop) as turn:
                if not entry.is_dir():
                    if turn.waited_for:
                        turn.report(f"{turn.waited_for} has ended without it; this process makes the {kind} now")
                    self._make(entry, make, turn.report)
        return entry

    def _make(self, entry: Path, make: Make, report: Report) -> None:
        for unfinished in leftovers(entry):
            shutil.rmtree(unfinished, ignore_errors=True)
        with make_folder_atomically(entry) as folder:
            make(folder, report)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise BuildError(f"the cache folder {self.root} cannot be written ({error}): set XDG_CACHE_HOME to a "
                             "folder that can") from error
