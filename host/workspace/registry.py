"""A workspace's folder: a registry of rows, and files that always agree with it.

Files are renamed into place inside the write transaction that inserts their row, and rows are deleted before their files.
So whoever holds the write lock knows that a folder in place without a row is a leftover of a killed process. Folders in the
making and operations hold a lock while their process lives.
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
"""Folders of files that rows name, and how deep below each their own folder lies."""
STAGING = "staging"
Also = Callable[[sqlite3.Connection, Entry], None]


class Registry:
    """Rows and files of an existing workspace, whatever their kinds; ``Workspace`` is one that knows the kinds.

    Any number of processes may use one at once. What killed processes left behind is removed on opening; ``swept`` names
    it. The folder must lie on a local disk: SQLite's write-ahead log does not work over a network.

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
        """A new workspace in a folder that is new or empty; its name is the folder's where none is given.

        Raises
        ------
        ExistsError
            There is one already, and not ``exist_ok``; or the folder holds something else.
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
        """A context manager with a folder for files in the making."""
        return files.staged(self.path / STAGING)

    def publish(self, draft: Draft, content: Path, also: Also | None = None) -> Entry:
        """Registers a staged file or folder under the name's next version: files and row, or neither.

        ``also`` joins the transaction; an error in it undoes all. ``content``'s parent is the staging folder.
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
        """A transaction that brings a staged folder to ``place``, relative to the workspace, for a row that names it."""
        files.sync_tree(staging)
        with self.database.write() as connection:
            yield connection
            _take_place(staging, self.path / place)

    def discard(self, entry: Entry) -> None:
        """Removes the files of an entry as it was: its row is gone, or names others by now."""
        if entry.path is None:
            return
        folder = self.path / Path(*Path(entry.path).parts[:3])
        grave = self.path / STAGING / uuid.uuid4().hex  # a name without a lock: swept if we die here
        with self.database.write():  # nobody renames into the parent folder meanwhile
            if folder.exists():
                folder.rename(grave)
            if folder.parent.is_dir() and not any(folder.parent.iterdir()):
                folder.parent.rmdir()
        files.remove(grave)

    def _sweep(self) -> list[Path]:
        """Removes what killed processes left; returns what it was, relative to the workspace."""
        found = files.abandoned(self.path / STAGING)
        if self._strays():
            with self.database.write():  # seen from outside they may be in the middle of a transaction
                graves = self._strays()
                for stray in graves:
                    files.remove(stray)
            found += graves
        for path in found:
            files.remove(path)
        return [path.relative_to(self.path) for path in found]

    def _strays(self) -> list[Path]:
        """Folders in place that no row knows."""
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
    """The database is whole or absent: made in a staging folder, where SQLite's other files stay, and renamed."""
    if (folder / FILE).exists():
        return
    with files.staged(folder / STAGING) as place:
        Database.create(place / FILE)
        (place / FILE).rename(folder / FILE)
        sync(folder)


def _take_place(staging: Path, place: Path) -> None:
    """Renames at the end of a write transaction; what lies at ``place`` already is a dead process's."""
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
    """A JSON object; raises ``NotFoundError`` with ``absent`` where there is no file, ``WorkspaceError`` for a bad one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(absent) from None
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path}: must hold a JSON object")
    return value
