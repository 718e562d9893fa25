"""Workspaces: one folder with a registry and the files of its models, images, services and operations."""

import json
import os
from pathlib import Path
from typing import Any, Self

from arrayloom.host.workspace import files
from arrayloom.host.workspace.errors import NotFoundError, WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.registry import MARKER, Registry, read_json
from arrayloom.host.workspace.webservice import Webservice

CONFIG = Path(".arrayloom") / "config.json"
FORMER_CONFIG = Path(".weft") / "config.json"      # used by workspaces up to format 1


class Workspace(Registry):
    """An existing workspace.

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

    @classmethod
    def from_config(cls, path: str | Path | None = None) -> Self:
        """The workspace named by the nearest ``.arrayloom/config.json``, or the one that contains ``path``.

        Searches ``path`` (default: the current folder), then its parents.

        Raises
        ------
        NotFoundError
            No workspace was found.
        WorkspaceError
            The nearest one is of another version of Arrayloom, or the file cannot be read.
        """
        start = Path(path or ".").resolve()
        for folder in (start, *start.parents):
            if (folder / MARKER).is_file():
                return cls(folder)
            if (folder / CONFIG).is_file():
                config = read_json(folder / CONFIG, f"{folder / CONFIG}: cannot be read")
                if not isinstance(config.get("workspace"), str):
                    raise WorkspaceError(f"{folder / CONFIG}: has no text \"workspace\"; write it with write_config()")
                return cls(folder / config["workspace"])
            if (folder / FORMER_CONFIG).is_file():
                raise WorkspaceError(f"{folder / FORMER_CONFIG}: names a workspace of an earlier version of Arrayloom, "
                                     f"which this one does not read; in {folder}, create a new one with: arrayloom "
                                     "workspace create DIR --use, register the models there and convert them again")
        raise NotFoundError(f"neither {start} nor a folder above it is a workspace or has a {CONFIG}; create one with: "
                            "arrayloom workspace create DIR")

    def write_config(self, path: str | Path = ".") -> Path:
        """Lets ``from_config`` find this workspace from ``path`` and the folders in it; returns the file."""
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
    def models(self) -> dict[str, Model]:
        """The latest version of every model, by name."""
        return {model.name: model for model in Model.list(self, latest=True)}

    @property
    def images(self) -> dict[str, Image]:
        """The latest version of every image, by name."""
        return {image.name: image for image in Image.list(self, latest=True)}

    @property
    def webservices(self) -> dict[str, Webservice]:
        """Every service, by name."""
        return {service.name: service for service in Webservice.list(self)}
