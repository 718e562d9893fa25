"""Registered models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from arrayloom.host.workspace import files
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.entries import Draft, check_name
from arrayloom.host.workspace.errors import DamagedError, ExistsError, WorkspaceError
from arrayloom.host.workspace.external_data import external_files
from arrayloom.host.workspace.registry import Registry
from arrayloom.isa.program import SUFFIX, Program, is_program

PROGRAM, LABELS = f"program{SUFFIX}", "labels.txt"
"""Files of a converted model's folder."""
SUFFIXES = {".onnx": "onnx", SUFFIX: "arrayloom", ".pt2": "torch"}


class Model(Artifact):
    """``Model(workspace, name)`` is the latest version, ``Model(workspace, name, version)`` the given one.

    Raises
    ------
    NotFoundError
        There is no such model or version; the text lists the existing ones.
    """

    KIND: ClassVar[str] = "model"

    @staticmethod
    def register(workspace: Registry, model_path: str | Path, model_name: str, tags: Mapping[str, str] | None = None,
                 description: str | None = None, properties: Mapping[str, str] | None = None) -> Model:
        """Copies a model into the workspace under the name's next version.

        Parameters
        ----------
        model_path : str | Path
            An ONNX file (with its external data files), a folder with one, a program (``.loom``), a
            PyTorch archive (``.pt2``, from ``torch.export.save``) or a TensorFlow SavedModel's folder.
        model_name : str
            1 to 255 letters, digits, '-', '.', '_', beginning with a letter or digit.
        tags : Mapping[str, str] | None
            Labels that may change later.
        properties : Mapping[str, str] | None
            Labels that never change.

        Raises
        ------
        WorkspaceError
            The name is invalid, the file does not exist, or its kind is not supported.
        ProgramError
            The program is damaged or of an earlier version.
        """
        source = Path(model_path)
        if source.is_file() and is_program(source):
            Program.load(source)
        draft = Draft("model", check_name(model_name, "model"), "Registered", description or "",
                      {"framework": framework_of(source)}, tags or {}, properties or {})
        with workspace.staged() as place:
            return Model.of(workspace, workspace.publish(draft, _copy(source, place)))

    @property
    def framework(self) -> str:
        """onnx, arrayloom, torch or tensorflow."""
        return str(self.entry.details["framework"])

    @property
    def url(self) -> str:
        """The model's path as a file URL."""
        return self.path.as_uri()

    @property
    def file(self) -> Path:
        """The model's main file: the program, without its labels, or the ONNX file, without its external data."""
        return _own_file(self.path) if self.framework in ("onnx", "arrayloom") else self.path

    def verify(self) -> None:
        """Raises ``DamagedError`` if the files are not those that were registered."""
        if not self.path.exists() or files.measure(self.path).sha256 != self.sha256:
            raise DamagedError(f"{self.path}: is missing or was changed since {self.entry.reference} was registered; "
                               "register the model again")

    def download(self, target_dir: str | Path = ".", exist_ok: bool = False) -> Path:
        """Checks the model and copies it out of the workspace; returns the path of the copy."""
        self.verify()
        target = Path(target_dir) / self.path.name
        if target.exists():
            if not exist_ok:
                raise ExistsError(f"{target}: exists; give another folder, or exist_ok")
            files.remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():
            return Path(shutil.copytree(self.path, target))
        return Path(shutil.copyfile(self.path, target))

    def serialize(self) -> dict[str, Any]:
        return super().serialize() | {"framework": self.framework, "url": self.url}


def _copy(source: Path, place: Path) -> Path:
    """The file or folder to register; for an ONNX file with external data, a folder of its name with all files."""
    beside = external_files(source) if source.is_file() and source.suffix == ".onnx" else []
    if not beside:
        return files.copy_into(source, place)
    folder = place / source.stem
    for file in (source, *beside):
        home = folder / file.relative_to(source.parent).parent
        home.mkdir(parents=True, exist_ok=True)
        files.copy_into(file, home)
    return folder


def framework_of(path: Path) -> str:
    """The kind of model in a file or folder; raises ``WorkspaceError`` for an unknown kind."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "tensorflow"
        own = [p for p in path.iterdir() if p.suffix in (".onnx", SUFFIX)] if path.is_dir() else []
        if len(own) == 1:
            return SUFFIXES[own[0].suffix]
        raise WorkspaceError(f"{path}: holds neither a saved_model.pb nor exactly one .onnx or .loom file; give the model's "
                             "own file")
    if not path.exists():
        raise WorkspaceError(f"{path}: no such file; give the path of a model")
    if not path.is_file():
        raise WorkspaceError(f"{path}: is a pipe, a socket or a device; give the path of a model's file")
    if path.suffix not in SUFFIXES:
        raise WorkspaceError(f"{path}: not a model that can be registered; give {', '.join(SUFFIXES)} or the folder of a "
                             "TensorFlow SavedModel")
    return SUFFIXES[path.suffix]


def _own_file(path: Path) -> Path:
    if path.is_file():
        return path
    return next(p for p in sorted(path.iterdir()) if p.suffix in SUFFIXES)
