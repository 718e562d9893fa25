"""Folders that are made once for each content, by the process that needs one first."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from arrayloom.isa.files import leftovers, make_folder_atomically
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.process import Report


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/arrayloom``, or ``~/.cache/arrayloom``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "arrayloom"


class Cache:
    """Entries ``root/kind/key``. An entry is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def produce(self, kind: str, key: str, make: Callable[[Path], None], report: Report) -> Path:
        """The folder of the entry, after ``make`` has filled an empty one when there was none.

        While another process makes the same entry, this one waits. What an interrupted process has left unfinished, the
        next one removes. Raises ``BuildError`` when the cache cannot be written.
        """
        entry = self.root / kind / key
        if entry.is_dir():
            return entry
        with self._writable(), self._lock(kind, key, report):
            if not entry.is_dir():
                self._make(entry, make)
        return entry

    def _make(self, entry: Path, make: Callable[[Path], None]) -> None:
        for unfinished in leftovers(entry):
            shutil.rmtree(unfinished, ignore_errors=True)
        with make_folder_atomically(entry) as folder:
            make(folder)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise BuildError(f"the cache folder {self.root} cannot be written ({error}): set XDG_CACHE_HOME to a "
                             "folder that can") from error

    @contextmanager
    def _lock(self, kind: str, key: str, report: Report) -> Iterator[None]:
        (self.root / kind).mkdir(parents=True, exist_ok=True)
        with (self.root / kind / f"{key}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report(f"another process is making this {kind}; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
