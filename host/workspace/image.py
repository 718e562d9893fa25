"""Images: a registered program with its server, as an OCI image."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from arrayloom.host.vision import recipe
from arrayloom.host.vision.classify import load_labels
from arrayloom.host.workspace import entries
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.entries import Draft, Entry, check_name
from arrayloom.host.workspace.errors import DamagedError, ExistsError, NotFoundError, WorkspaceError
from arrayloom.host.workspace.image_layout import Descriptor, Layout, repository, write_archive
from arrayloom.host.workspace.image_run import LocalServer, has_base, serve
from arrayloom.host.workspace.job import FAILED, LIVE, LOG, RUNNING, SUCCEEDED, Job
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.operation import Operation, find
from arrayloom.host.workspace.registry import Registry

JOB = Job("image", "arrayloom.host.workspace.image_build")


@dataclass(frozen=True)
class ImageConfiguration:
    """How an image is built; made by ``AccelContainerImage.image_configuration``."""

    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    base: Path | None = None
    dependencies: bool = False
    preprocess: str | None = None
    labels: tuple[str, ...] | None = None


class AccelContainerImage:
    """The original's name for images that hold an accelerated model."""

    @staticmethod
    def image_configuration(tags: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None,
                            description: str | None = None, base: str | Path | None = None, dependencies: bool = False,
                            preprocess: str | None = None,
                            labels: str | Path | Sequence[str] | None = None) -> ImageConfiguration:
        """How an image is built.

        Parameters
        ----------
        tags, description
            Labels of the registered image, which may change.
        properties : Mapping[str, str] | None
            Labels that do not change; also written into the image.
        base : str | Path | None
            An OCI image layout, folder or tar, with Python in it; without one, the image has only Arrayloom's layers.
        dependencies : bool
            Whether to include the server's Python packages from this environment.
        preprocess : str | None
            The recipe for encoded images, to set or replace the model's.
        labels : str | Path | Sequence[str] | None
            Class names or a file of them, to set or replace the model's.
        """
        if preprocess is not None:
            recipe(preprocess)
        lines = load_labels(Path(labels)) if isinstance(labels, str | Path) else labels
        return ImageConfiguration(dict(tags or {}), dict(properties or {}), description or "",
                                  None if base is None else Path(base).resolve(), dependencies, preprocess,
                                  None if lines is None else tuple(lines))


class Image(Artifact):
    """``Image(workspace, name)`` is the latest version, ``Image(workspace, name, version)`` the given one."""

    KIND: ClassVar[str] = "image"

    @staticmethod
    def create(workspace: Registry, name: str, models: Model | Sequence[Model],
               image_config: ImageConfiguration | None = None) -> Image:
        """Starts building an image from one program; ``wait_for_creation`` waits for it.

        Raises
        ------
        WorkspaceError
            The name is invalid, there are several models, or the model is not a program.
        ExistsError
            Container engines could not distinguish the name from another image's, for example if only the case differs.
        """
        chosen = [models] if isinstance(models, Model) else list(models)
        if len(chosen) != 1:
            raise WorkspaceError(f"image {name!r}: {len(chosen)} models given; an image holds one, make an image for each")
        (model,) = chosen
        if model.framework != "arrayloom":
            raise WorkspaceError(f"image {name!r}: model {model.id} is {model.framework}, not a program; convert it first "
                                 "with AccelOnnxConverter.convert")
        config = image_config or ImageConfiguration()
        draft = Draft("image", check_name(name, "image"), RUNNING, config.description, {}, config.tags, config.properties,
                      [model.entry])
        request = {"model": model.entry.id, "base": None if config.base is None else str(config.base),
                   "dependencies": config.dependencies, "preprocess": config.preprocess, "labels": config.labels}
        made: list[Entry] = []

        def also(connection: sqlite3.Connection, started: Entry) -> None:
            _require_own_repository(connection, name)
            version = entries.next_version(connection, "image", name)
            image = entries.insert(connection, draft, version)
            entries.update(connection, image.id, details={"operation": started.id})
            entries.update(connection, started.id, details={"image": image.id})
            made.append(entries.get(connection, image.id))

        started = Operation.start(workspace, JOB, request, [model.entry], also=also)
        image = Image.of(workspace, made[0])
        image._operation = started
        return image

    _operation: Operation | None = None

    @property
    def operation(self) -> Operation | None:
        """The operation that built it; None if there was none or it has been deleted."""
        if self._operation is None and (number := self.entry.details.get("operation")) is not None:
            with suppress(NotFoundError):
                self._operation = find(self.workspace, number)
        return self._operation

    @property
    def creation_state(self) -> str:
        """NotStarted, Running, Succeeded, Failed, Cancelled or TimedOut."""
        if self.entry.state == SUCCEEDED:
            return SUCCEEDED
        state = self.operation.status if self.operation else FAILED
        if state not in LIVE:
            self.refresh()
        return state

    @property
    def image_location(self) -> str | None:
        """The folder of the OCI image layout; None until it is built."""
        return None if self.entry.path is None else str(self.path)

    @property
    def image_build_log_uri(self) -> str | None:
        """The file of the build log; None if the operation has been deleted."""
        return str(self.operation.path / LOG) if self.operation else None

    @property
    def error(self) -> str | None:
        """Why it could not be built."""
        return self.operation.error if self.operation else None

    @property
    def digest(self) -> str:
        """``sha256:HEX`` of the image's manifest: the same input gives the same digest."""
        return f"sha256:{self._built().entry.sha256}"

    @property
    def reference(self) -> str:
        """``REPOSITORY:VERSION``, under which container engines load it."""
        return f"{repository(self.name)}:{self.version}"

    def wait_for_creation(self, show_output: bool = False, timeout: float | None = None) -> None:
        """Waits until it is built; raises ``WorkspaceError`` with the reason if that fails."""
        if self.operation:
            self.operation.wait_for_completion(show_output, timeout)
        self._built()

    def save(self, target: str | Path) -> Path:
        """Writes one tar archive for ``docker load``, ``podman load`` or ``skopeo copy oci-archive:``."""
        layout = Layout(self._built().path)
        try:
            write_archive(layout, self.reference, Path(target))
        except OSError as error:
            raise WorkspaceError(f"{target}: cannot be written: {error.strerror}") from None
        return Path(target)

    def verify(self) -> None:
        """Raises ``DamagedError`` if a blob does not match its digest, or the index names another image."""
        layout = Layout(self._built().path)
        (manifest,) = layout.manifests()
        if manifest.digest != self.digest:
            raise DamagedError(f"{self.path}: holds {manifest.digest}, and {self.id} is {self.digest}; create it again")
        parts = layout.read_json(manifest)
        for part in (parts["config"], *parts["layers"]):
            layout.checked(Descriptor.from_json(part, str(self.path)))

    def end_process(self) -> None:
        if self.operation:
            self.operation.cancel()

    @contextmanager
    def run(self, *options: str) -> Iterator[LocalServer]:
        """Serves the image's own files on this machine without a container engine, until the block ends.

        ``options`` are those of ``arrayloom serve``; by default it uses free ports on the loopback address.
        """
        self.verify()
        with serve(Layout(self.path), options) as server:
            yield server

    @property
    def notices(self) -> list[str]:
        """Advice for running it; empty before it is built."""
        if self.entry.state != SUCCEEDED or has_base(Layout(self.path)):
            return []
        return [f"image {self.id} has no base: it contains no Python, so a container engine cannot run it alone; create "
                "it with --base LAYOUT --dependencies (base=, dependencies=), or serve it here (arrayloom image run, "
                "service deploy)"]

    def serialize(self) -> dict[str, Any]:
        return super().serialize() | {"creation_state": self.creation_state, "image_location": self.image_location,
                                      "image_build_log_uri": self.image_build_log_uri, "reference": self.reference,
                                      "error": self.error}

    def _built(self) -> Image:
        state = self.creation_state
        if state != SUCCEEDED:
            reason = f": {self.error}" if state not in LIVE else "; wait_for_creation() waits for it"
            raise WorkspaceError(f"image {self.id} is not built, it is {state}{reason}")
        return self.refresh()


def _require_own_repository(connection: sqlite3.Connection, name: str) -> None:
    """Repository names are lower case; raises ``ExistsError`` if another image has the same one."""
    for other in entries.search(connection, "image"):
        if other.name != name and repository(other.name) == repository(name):
            raise ExistsError(f"image name {name!r}: container engines would call it {repository(name)!r}, as they call the "
                              f"image {other.name!r} of this workspace; choose another name")
