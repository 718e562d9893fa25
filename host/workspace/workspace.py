"""A workspace: one folder with a registry and the files of its models, images, services and operations."""

import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrayloom.host.workspace import entries, files
from arrayloom.host.workspace.database import FILE, Database
from arrayloom.host.workspace.entries import Draft, Entry
from arrayloom.host.workspace.errors import ExistsError, NotFoundError, WorkspaceError
from arrayloom.host.workspace.names import check_name
from arrayloom.host.workspace.sweep import sweep
from arrayloom.isa.files import leftovers, sync

if TYPE_CHECKING:
    from arrayloom.host.workspace.image import Image
    from arrayloom.host.workspace.model import Model
    from arrayloom.host.workspace.webservice import Webservice

MARKER = "workspace.json"
CONFIG = Path(".arrayloom") / "config.json"
FORMAT = 2
FOLDERS = ("staging", "models", "images", "services", "operations")
Also = Callable[[sqlite3.Connection, Entry], None]


class Workspace:
    """An existing workspace.

    Any number of processes may use one at once. What killed processes left behind is removed on opening; ``swept`` names
    it. The folder must lie on a local disk: SQLite's write-ahead log does not work over a network.

    Raises:
        NotFoundError: ``path`` holds no workspace.
        DamagedError: its registry is damaged or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        marker = _read_json(self.path / MARKER,
                            f"no workspace at {self.path}; make one with: arrayloom workspace create DIR")
        if marker.get("format") != FORMAT:
            raise WorkspaceError(f"{self.path / MARKER}: format {marker.get('format')!r}, this Arrayloom reads {FORMAT}; "
                                 "create a new workspace, register the models there and convert them again")
        self.name = str(marker["name"])
        self.database = Database(self.path / FILE)
        self.database.check()
        self.swept = sweep(self.path, self.database)

    @classmethod
    def create(cls, path: str | Path, name: str | None = None, exist_ok: bool = False) -> "Workspace":
        """A new workspace in a folder that is new or empty; its name is the folder's where none is given.

        Raises:
            ExistsError: there is one already, and not ``exist_ok``; or the folder holds something else.
        """
        folder = Path(path).resolve()
        if (folder / MARKER).exists():
            if exist_ok:
                return cls(folder)
            raise ExistsError(f"{folder}: is a workspace already; open it, or create with exist_ok")
        check_name(name or folder.name, "workspace")
        own = {*FOLDERS, FILE, f"{FILE}-wal", f"{FILE}-shm"}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            own |= {item.name for item in leftovers(folder / MARKER)}
            if foreign := sorted({item.name for item in folder.iterdir()} - own):
                raise ExistsError(f"{folder}: holds other files ({foreign[0]}); give a new or empty folder")
            for part in FOLDERS:
                (folder / part).mkdir(exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{folder}: cannot be created: {error.strerror}") from None
        _create_registry(folder)
        # The marker comes last: a folder without it is no workspace yet, and creating it again completes it.
        files.write_file(folder / MARKER, json.dumps({"format": FORMAT, "name": name or folder.name}).encode() + b"\n")
        return cls(folder)

    @classmethod
    def from_config(cls, path: str | Path | None = None) -> "Workspace":
        """The workspace that the nearest ``.arrayloom/config.json`` names, or that ``path`` lies in.

        Looks in ``path`` (the current folder where None) and then in its parents; raises ``NotFoundError``.
        """
        start = Path(path or ".").resolve()
        for folder in (start, *start.parents):
            if (folder / MARKER).is_file():
                return cls(folder)
            if (folder / CONFIG).is_file():
                config = _read_json(folder / CONFIG, f"{folder / CONFIG}: cannot be read")
                if not isinstance(config.get("workspace"), str):
                    raise WorkspaceError(f"{folder / CONFIG}: has no text \"workspace\"; write it with write_config()")
                return cls(folder / config["workspace"])
        raise NotFoundError(f"neither {start} nor a folder above it is a workspace or has a {CONFIG}; create one with: "
                            "arrayloom workspace create DIR")

    def write_config(self, path: str | Path = ".") -> Path:
        """Lets ``from_config`` find this workspace from the folder ``path`` on; returns the file."""
        target = Path(path) / CONFIG
        target.parent.mkdir(parents=True, exist_ok=True)
        relative = os.path.relpath(self.path, Path(path).resolve())
        files.write_file(target, json.dumps({"workspace": relative}).encode() + b"\n")
        return target

    def get_details(self) -> dict[str, Any]:
        """Name, place and contents as JSON."""
        kinds: dict[str, dict[str, Any]] = {"models": self.models, "images": self.images, "services": self.webservices}
        return {"name": self.name, "location": str(self.path),
                **{kind: [artifact.id for artifact in found.values()] for kind, found in kinds.items()},
                "swept": [str(path) for path in self.swept]}

    @property
    def models(self) -> "dict[str, Model]":
        """The latest version of every model, by name."""
        from arrayloom.host.workspace.model import Model

        return {model.name: model for model in Model.list(self, latest=True)}

    @property
    def images(self) -> "dict[str, Image]":
        """The latest version of every image, by name."""
        from arrayloom.host.workspace.image import Image

        return {image.name: image for image in Image.list(self, latest=True)}

    @property
    def webservices(self) -> "dict[str, Webservice]":
        """Every service, by name."""
        from arrayloom.host.workspace.webservice import Webservice

        return {service.name: service for service in Webservice.list(self)}

    def staged(self) -> Any:
        """A context manager with a folder for files in the making."""
        return files.staged(self.path / "staging")

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
        grave = self.path / "staging" / uuid.uuid4().hex  # a name without a lock: swept if we die here
        with self.database.write():  # nobody renames into the parent folder meanwhile
            if folder.exists():
                folder.rename(grave)
            if folder.parent.is_dir() and not any(folder.parent.iterdir()):
                folder.parent.rmdir()
        files.remove(grave)


def _take_place(staging: Path, place: Path) -> None:
    """Renames at the end of a write transaction; what lies at ``place`` already is a dead process's."""
    if place.exists():
        files.remove(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    sync(place.parent.parent)
    staging.rename(place)
    sync(place.parent)


def _create_registry(folder: Path) -> None:
    """The registry, made in a staging folder, which takes SQLite's further files along, and renamed."""
    if (folder / FILE).exists():
        return
    with files.staged(folder / "staging") as place:
        Database.create(place / FILE)
        (place / FILE).rename(folder / FILE)
        sync(folder)


def _read_json(path: Path, absent: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(absent) from None
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path}: must hold a JSON object")
    return value
