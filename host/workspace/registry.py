"""A workspace's folder: a registry of rows, and files that always agree with it.

Files are renamed into place inside the write transaction that inserts their row, and rows are deleted before their files.
Therefore the holder of the write lock knows that a folder without a row is a leftover of a killed process. The processes
of staged folders and operations hold a lock while they live.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

from arrayloom.host.workspace import entries, files
from arrayloom.host.workspace.database import FILE, Database
from arrayloom.host.workspace.entries import Draft, Entry, check_name
from arrayloom.host.workspace.errors import ExistsError, NotFoundError, WorkspaceError
from arrayloom.isa.files import leftovers, sync

MARKER = "workspace.json"
FORMAT = 2
DEPTHS = {"models": 2, "images": 2, "services": 2, "operations": 1}
"""Folders with the files of rows, and the depth of each row's own folder within."""
STAGING = "staging"
Also = Callable[[sqlite3.Connection, Entry], None]


class Registry:
    """Rows and files of an existing workspace, independent of their kinds; the subclass ``Workspace`` knows the kinds.

    Any number of processes may use a workspace at once. Leftovers of killed processes are removed on opening; ``swept``
    lists them. The folder must lie on a local disk: SQLite's write-ahead log does not work over a network.

    Raises
    ------
    NotFoundError
        ``path`` holds no workspace.
    WorkspaceError
        The workspace is of another version of Arrayloom.
    DamagedError
        Its registry is damaged or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        marker = read_json(self.path / MARKER,
                           f"no workspace at {self.path}; make one with: arrayloom workspace create DIR")
        if marker.get("format") != FORMAT:
            raise WorkspaceError(f"{self.path / MARKER}: format {marker.get('format')!r}, this Arrayloom reads {FORMAT}; "
                                 "create a new workspace, register the models there and convert them again")
        self.name = str(marker["name"])
        self.database = Database(self.path / FILE)
        self.database.check()
        self.swept = self._sweep()

    @classmethod
    def create(cls, path: str | Path, name: str | None = None, exist_ok: bool = False) -> Self:
        """Creates a workspace in a new or empty folder; its default name is the folder's.

        Raises
        ------
        ExistsError
            There is one already and ``exist_ok`` is false, or the folder holds something else.
        """
        folder = Path(path).resolve()
        if (folder / MARKER).exists():
            if exist_ok:
                return cls(folder)
            raise ExistsError(f"{folder}: is a workspace already; open it, or create with exist_ok")
        check_name(name or folder.name, "workspace")
        try:
            _create_folders(folder)
        except OSError as error:
            raise WorkspaceError(f"{folder}: cannot be created: {error.strerror}") from None
        _create_database(folder)
        # The marker comes last: a folder without it is no workspace yet, and creating it again completes it.
        files.write_file(folder / MARKER, json.dumps({"format": FORMAT, "name": name or folder.name}).encode() + b"\n")
        return cls(folder)

    def staged(self) -> AbstractContextManager[Path]:
        """A context manager that provides a staging folder."""
        return files.staged(self.path / STAGING)

    def publish(self, draft: Draft, content: Path, also: Also | None = None) -> Entry:
        """Registers a staged file or folder under the name's next version; files and row together or neither.

        ``also`` runs in the transaction; an error in it undoes everything. ``content``'s parent is the staging folder.
        """
        measured = files.measure(content)
        files.sync_tree(content.parent)
        with self.database.write() as connection:
            version = entries.next_version(connection, draft.kind, draft.name)
            place = Path(f"{draft.kind}s", draft.name, str(version))
            entry = entries.insert(connection, draft, version, str(place / content.name), *measured)
            if also:
                also(connection, entry)
            _take_place(content.parent, self.path / place)
        return entry

    @contextmanager
    def placed(self, staging: Path, place: Path) -> Iterator[sqlite3.Connection]:
        """A transaction that moves a staged folder to ``place``, relative to the workspace, for a row that names it."""
        files.sync_tree(staging)
        with self.database.write() as connection:
            yield connection
            _take_place(staging, self.path / place)

    def discard(self, entry: Entry) -> None:
        """Removes the former files of an entry whose row is gone or now names others."""
        if entry.path is None:
            return
        folder = self.path / Path(*Path(entry.path).parts[:3])
        grave = self.path / STAGING / uuid.uuid4().hex  # a name without a lock: it is swept if this process dies here
        with self.database.write():  # no process renames into the parent folder meanwhile
            if folder.exists():
                folder.rename(grave)
            if folder.parent.is_dir() and not any(folder.parent.iterdir()):
                folder.parent.rmdir()
        files.remove(grave)

    def _sweep(self) -> list[Path]:
        """Removes leftovers of killed processes; returns their paths relative to the workspace."""
        found = files.abandoned(self.path / STAGING)
        if self._strays():
            with self.database.write():  # without the write lock, they may belong to a transaction in progress
                graves = self._strays()
                for stray in graves:
                    files.remove(stray)
            found += graves
        for path in found:
            files.remove(path)
        return [path.relative_to(self.path) for path in found]

    def _strays(self) -> list[Path]:
        """Folders that no row names."""
        with self.database.read() as connection:
            known = {Path(row["path"]) for row in connection.execute("SELECT path FROM entries WHERE path IS NOT NULL")}
        strays = []
        for part, depth in DEPTHS.items():
            kept = {Path(*path.parts[:depth + 1]) for path in known if path.parts[0] == part}
            strays += [path for path in _folders(self.path / part, depth) if path.relative_to(self.path) not in kept]
        with files.gate(self.path / "operations"):
            return [path for path in strays if not files.is_held(path / files.LOCK)]


def _create_folders(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = (STAGING, *DEPTHS)
    own = {*parts, FILE, f"{FILE}-wal", f"{FILE}-shm", *(item.name for item in leftovers(folder / MARKER))}
    if foreign := sorted({item.name for item in folder.iterdir()} - own):
        raise ExistsError(f"{folder}: holds other files ({foreign[0]}); give a new or empty folder")
    for part in parts:
        (folder / part).mkdir(exist_ok=True)


def _create_database(folder: Path) -> None:
    """Creates the database atomically: in a staging folder, in which SQLite's other files stay, and then renames it."""
    if (folder / FILE).exists():
        return
    with files.staged(folder / STAGING) as place:
        Database.create(place / FILE)
        (place / FILE).rename(folder / FILE)
        sync(folder)


def _take_place(staging: Path, place: Path) -> None:
    """Renames at the end of a write transaction; existing files at ``place`` belong to a dead process."""
    if place.exists():
        files.remove(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    sync(place.parent.parent)
    staging.rename(place)
    sync(place.parent)


def _folders(folder: Path, depth: int) -> list[Path]:
    children = [path for path in folder.iterdir() if path.is_dir()]
    if depth == 1:
        return children
    return [deeper for child in children for deeper in _folders(child, depth - 1)]


def read_json(path: Path, absent: str) -> dict[str, Any]:
    """Reads a JSON object; raises ``NotFoundError`` with ``absent`` if there is no file, ``WorkspaceError`` for an invalid
    one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(absent) from None
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path}: must hold a JSON object")
    return value
