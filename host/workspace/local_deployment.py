"""A service on this machine: an unpacked image, its keys, and the process that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.keys import Keys, Which, rotate
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.image_layout import Layout
from arrayloom.host.workspace.image_run import entry_point, unpack
from arrayloom.host.workspace.server_process import LOG, Address, ServerProcess, tail
from arrayloom.host.workspace.service_configuration import ServiceConfiguration

TARGET = "local"
ROOT, KEYS = "root", "keys.json"


@dataclass(frozen=True)
class LocalDeployment:
    """``name``: the service's name; ``folder``: the folder with all its files."""

    name: str
    folder: Path
    configuration: ServiceConfiguration

    @cached_property
    def process(self) -> ServerProcess:
        return ServerProcess(self.folder)

    @property
    def address(self) -> Address | None:
        """The address; None before it has been ready."""
        return self.process.address

    @property
    def state(self) -> str:
        return self.process.state

    def require_healthy(self, timeout: float) -> None:
        """Waits; raises ``WorkspaceError`` with the end of its log if it is not Healthy in time."""
        self.process.require_healthy(f"service {self.name}", timeout)

    def log(self, lines: int) -> str:
        return tail(self.folder / LOG, lines)

    def keys(self) -> Keys:
        return Keys.load(self.folder / KEYS)

    def rotate(self, which: Which) -> Keys:
        return rotate(self.folder / KEYS, which)

    def start(self) -> None:
        """Starts the server; raises ``BusyError`` if it runs."""
        last = self.address
        ports = {"port": last.port, "http_port": last.http_port} if last else {}
        options = self.configuration.options(self.name, self.folder / KEYS, ports)
        command, environment, home = entry_point(self.folder / ROOT)
        self.process.start([*command, *options], environment, home)

    def stop(self) -> None:
        """Stops the server, which first finishes accepted requests."""
        self.process.stop(self.configuration.settings.grace)

    def delete(self) -> None:
        """Ends the server; the workspace removes its files."""
        self.stop()

    def facts(self) -> dict[str, Any]:
        """Details that only a service on this machine has."""
        return {"target": TARGET}


def unpack_image(image: Image, folder: Path) -> None:
    """Unpacks an image into a new folder."""
    folder.mkdir()
    unpack(Layout(image.path), folder / ROOT)
