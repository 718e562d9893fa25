"""Adds services to the registry and changes them there: rows, files and clusters together."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.keys import Keys
from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Draft, Entry, check_name
from arrayloom.host.workspace.errors import ExistsError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.kubernetes_deployment import KubernetesDeployment, image_place
from arrayloom.host.workspace.local_deployment import KEYS, unpack_image
from arrayloom.host.workspace.registry import Registry
from arrayloom.host.workspace.server_process import READY_FILE
from arrayloom.host.workspace.service_configuration import ServiceConfiguration

STARTED = "Started"
HOME = "service"


@dataclass(frozen=True)
class Request:
    """The caller's description of a new service."""

    name: str
    image: Image
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    def draft(self, details: Mapping[str, Any]) -> Draft:
        return Draft("service", check_name(self.name, "service"), STARTED, self.description, details, self.tags,
                     self.properties, [self.image.entry])


def add_here(workspace: Registry, request: Request, config: ServiceConfiguration) -> Entry:
    """Creates the row and the files of a service on this machine."""
    draft = request.draft(config.to_json())
    with workspace.staged() as place:
        unpack_image(request.image, place / HOME)
        if config.auth_enabled:
            Keys.generate().save(place / HOME / KEYS)
        return workspace.publish(draft, place / HOME, _only_one)


def add_to_cluster(workspace: Registry, request: Request, deployment: KubernetesDeployment) -> Entry:
    """Creates the row and the objects of a service in a cluster. The row comes first, so that a killed process's leftovers
    in the cluster can be deleted by name."""
    draft = request.draft(deployment.to_json())
    with workspace.database.write() as connection:
        entry = entries.insert(connection, draft, entries.next_version(connection, "service", draft.name))
        _only_one(connection, entry)
    try:
        deployment.create()
    except BaseException:
        with workspace.database.write() as connection:
            entries.delete(connection, entry.id)
        raise
    return entry


def replace_files(workspace: Registry, before: Entry, image: Image, stop: Callable[[], None]) -> None:
    """Replaces a service's files by those of another image; ``stop`` ends its server. Keys and addresses stay."""
    old = workspace.path / str(before.path)
    with workspace.staged() as place:
        unpack_image(image, place / HOME)
        stop()
        for name in (KEYS, READY_FILE):
            if (old / name).exists():
                shutil.copy2(old / name, place / HOME / name)  # with its mode
        with workspace.database.read() as connection:
            version = entries.get(connection, before.id).version + 1
        home = Path("services", before.name, str(version))
        with workspace.placed(place, home) as connection:
            entries.next_version(connection, "service", before.name)
            entries.update(connection, before.id, version=version, path=str(home / HOME), sha256=None)
            entries.adopt(connection, before.id, image.entry)
    workspace.discard(before)


def change_cluster(workspace: Registry, before: Entry, deployment: KubernetesDeployment, image: Image | None,
                   replicas: int | None) -> None:
    """Changes the image, the number of pods, or both."""
    if replicas is not None:
        deployment = deployment.scaled(replicas)
    if image is not None:
        deployment = deployment.serving(image_place(deployment.target, image))
    with workspace.database.write() as connection:
        version = entries.next_version(connection, "service", before.name)
        entries.update(connection, before.id, version=version, details=deployment.to_json(), state=STARTED)
        if image is not None:
            entries.adopt(connection, before.id, image.entry)


def _only_one(connection: sqlite3.Connection, entry: Entry) -> None:
    """Raises ``ExistsError`` if another service has the name."""
    if others := [each for each in entries.search(connection, "service", entry.name) if each.id != entry.id]:
        raise ExistsError(f"{others[0].reference} exists; update it, delete it first, or choose another name")
