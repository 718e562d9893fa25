"""Services: an image served by a process of its own on this machine."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from arrayloom.host.serving.core.keys import Keys, Which, rotate
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.workspace import entries
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.entries import Draft, Entry, check_name
from arrayloom.host.workspace.errors import ExistsError, WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.image_layout import Layout
from arrayloom.host.workspace.image_run import entry_point, unpack
from arrayloom.host.workspace.registry import Registry
from arrayloom.host.workspace.server_process import (
    ENDED,
    HEALTHY,
    LOG,
    READY_FILE,
    START_SECONDS,
    Address,
    ServerProcess,
    serve_options,
    tail,
)

OWNED = ("name", "keys_file")
"""Settings that the workspace gives itself."""
STARTED, STOPPED = "Started", "Stopped"
ROOT, KEYS, HOME = "root", "keys.json", "service"


@dataclass(frozen=True)
class ServiceConfiguration:
    """The server's settings, and whether it asks for a key; made by ``LocalWebservice.deploy_configuration``."""

    settings: Settings
    auth_enabled: bool

    def options(self, name: str, keys_file: Path, ports: Mapping[str, int]) -> list[str]:
        """The settings as options of ``arrayloom serve``; ``ports``: ``port`` and ``http_port`` where they are settled.

        All of them, the default ones too: they come after the image's own command, which has others.
        """
        given = {field.name: value for field in fields(Settings)
                 if field.name not in OWNED and (value := getattr(self.settings, field.name)) is not None}
        given |= {"name": name, **ports} | ({"keys_file": keys_file} if self.auth_enabled else {})
        return serve_options(given)

    def to_json(self) -> dict[str, Any]:
        values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.settings).items()}
        return {"auth_enabled": self.auth_enabled, "settings": values}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ServiceConfiguration:
        settings = dict(value["settings"])
        for name in ("tls_cert", "tls_key", "keys_file", "access_log"):
            settings[name] = Path(settings[name]) if settings.get(name) else None
        return cls(Settings(**settings), value["auth_enabled"])


class LocalWebservice:
    """Services on this machine."""

    @staticmethod
    def deploy_configuration(auth_enabled: bool = True, **settings: Any) -> ServiceConfiguration:
        """How a service is deployed.

        Parameters
        ----------
        auth_enabled : bool
            Whether requests need one of the service's two keys.
        settings : Any
            Settings of ``arrayloom serve``, named as in ``arrayloom.host.serving.core.settings.Settings``; ports that are
            not given are free ones, which then stay.

        Raises
        ------
        WorkspaceError
            A setting is unknown.
        ServeError
            A value is not allowed.
        """
        known = {field.name for field in fields(Settings) if field.default is not MISSING} - set(OWNED)
        if unknown := sorted(set(settings) - known):
            raise WorkspaceError(f"setting {unknown[0]!r}: unknown; there are {', '.join(sorted(known))}")
        chosen: dict[str, Any] = {"port": 0, "http_port": 0, **settings}
        chosen |= {name: Path(settings[name]).resolve() for name in ("tls_cert", "tls_key", "access_log")
                   if settings.get(name) and str(settings[name]) != "-"}
        return ServiceConfiguration(Settings(**chosen), auth_enabled)


class Webservice(Artifact):
    """``Webservice(workspace, name)``: a service that was deployed; ``version`` counts its updates."""

    KIND: ClassVar[str] = "service"
    _process: ServerProcess | None = None

    @staticmethod
    def deploy_from_image(workspace: Registry, name: str, image: Image,
                          deployment_config: ServiceConfiguration | None = None, tags: Mapping[str, str] | None = None,
                          properties: Mapping[str, str] | None = None, description: str | None = None) -> Webservice:
        """Unpacks an image and starts its server; ``wait_for_deployment`` waits until it is ready.

        The server goes on when this process ends; ``delete`` or ``stop`` ends it.

        Raises
        ------
        ExistsError
            There is a service of that name; update or delete it.
        WorkspaceError
            A wrong name, or an image that is not built.
        """
        config = deployment_config or LocalWebservice.deploy_configuration()
        image.verify()
        draft = Draft("service", check_name(name, "service"), STARTED, description or "", config.to_json(), tags or {},
                      properties or {}, [image.entry])

        def unique(connection: sqlite3.Connection, entry: Entry) -> None:
            if others := [e for e in entries.search(connection, "service", name) if e.id != entry.id]:
                raise ExistsError(f"{others[0].reference} exists; update it, delete it first, or choose another name")

        with workspace.staged() as place:
            _unpack(image, place / HOME)
            if config.auth_enabled:
                Keys.generate().save(place / HOME / KEYS)
            service = Webservice.of(workspace, workspace.publish(draft, place / HOME, unique))
        service.start()
        return service

    @property
    def configuration(self) -> ServiceConfiguration:
        return ServiceConfiguration.from_json(self.entry.details)

    @property
    def address(self) -> Address:
        """Host, gRPC and HTTP port, and whether they speak TLS; raises ``WorkspaceError`` before it has been ready."""
        address = self.process.address
        if address is None:
            raise WorkspaceError(f"service {self.name} has no address, it has never been ready; wait_for_deployment() waits "
                                 "for it")
        return address

    @property
    def scoring_uri(self) -> str:
        """``HOST:PORT`` of gRPC."""
        return f"{self.address.reachable}:{self.address.port}"

    @property
    def http_uri(self) -> str:
        """The root of the HTTP interfaces."""
        scheme = "https" if self.address.tls else "http"
        return f"{scheme}://{self.address.reachable}:{self.address.http_port}"

    @property
    def auth_enabled(self) -> bool:
        return self.configuration.auth_enabled

    @property
    def image(self) -> str:
        """``NAME:VERSION`` of the image that is served."""
        return self.parents[0].reference.partition(" ")[2]

    @property
    def process(self) -> ServerProcess:
        if self._process is None or self._process.folder != self.path:
            self._process = ServerProcess(self.path)
        return self._process

    @property
    def state(self) -> str:
        """Transitioning while it starts or loads a model, Healthy, Unhealthy when it does not answer.

        Failed when its process has ended by itself or was killed, Stopped when it was stopped on request.
        """
        self.refresh()
        state = self.process.state
        return STOPPED if state == ENDED and self.entry.state == STOPPED else state

    def wait_for_deployment(self, show_output: bool = False, timeout: float = START_SECONDS) -> None:
        """Waits until it is Healthy; raises ``WorkspaceError`` with the end of its log where it fails or takes longer."""
        self.process.require_healthy(f"service {self.name}", timeout)
        if show_output:
            print(f"service {self.name} is {HEALTHY}: gRPC {self.scoring_uri}, HTTP {self.http_uri}", flush=True)

    def get_logs(self, num_lines: int = 5000) -> str:
        """The last lines of the server's log, one JSON object each."""
        return tail(self.path / LOG, num_lines)

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key; raises ``WorkspaceError`` where the service takes no keys."""
        keys = Keys.load(self._keys_file())
        return keys.primary, keys.secondary

    def regen_key(self, key: str) -> tuple[str, str]:
        """Replaces the ``primary`` or ``secondary`` key while the service runs; the other stays valid."""
        if key not in list(Which):
            raise WorkspaceError(f"key {key!r}: unknown; there are {', '.join(Which)}")
        keys = rotate(self._keys_file(), Which(key))
        return keys.primary, keys.secondary

    def start(self) -> None:
        """Starts its server again; raises ``BusyError`` where it runs."""
        last = self.process.address
        ports = {"port": last.port, "http_port": last.http_port} if last else {}
        options = self.configuration.options(self.name, self.path / KEYS, ports)
        command, environment, home = entry_point(self.path / ROOT)
        self.process.start([*command, *options], environment, home)
        self._record(STARTED)

    def stop(self) -> None:
        """Ends its server, which first finishes what it has accepted."""
        if self.process.alive:
            self._record(STOPPED)
            self.process.stop(self.configuration.settings.grace)

    def end_process(self) -> None:
        self.stop()

    def update(self, image: Image) -> None:
        """Serves another image under the same addresses and keys; its version counts up.

        The old server finishes what it has accepted; until the new one is ready, connections are refused.
        """
        image.verify()
        before = self.refresh().entry
        with self.workspace.staged() as place:
            _unpack(image, place / HOME)
            self.stop()
            for name in (KEYS, READY_FILE):
                if (self.path / name).exists():
                    shutil.copy2(self.path / name, place / HOME / name)  # with its mode
            with self.workspace.database.read() as connection:
                version = entries.get(connection, before.id).version + 1
            home = Path("services", self.name, str(version))
            with self.workspace.placed(place, home) as connection:
                entries.next_version(connection, "service", self.name)
                entries.update(connection, before.id, version=version, path=str(home / HOME), sha256=None)
                entries.adopt(connection, before.id, image.entry)
        self.workspace.discard(before)
        self.refresh().start()

    def serialize(self) -> dict[str, Any]:
        state, address = self.state, self.process.address
        known = address is not None
        return super().serialize() | {"state": state, "image": self.image, "host": address.host if address else None,
                                      "grpc": self.scoring_uri if known else None,
                                      "http": self.http_uri if known else None, "auth_enabled": self.auth_enabled,
                                      "tls": self.configuration.settings.tls_cert is not None, "pid": self.process.pid}

    def _record(self, state: str) -> None:
        with self.workspace.database.write() as connection:
            entries.update(connection, self.entry.id, state=state)
        self.refresh()

    def _keys_file(self) -> Path:
        if not self.auth_enabled:
            raise WorkspaceError(f"service {self.name} takes no keys; deploy it with auth_enabled")
        return self.path / KEYS


def _unpack(image: Image, folder: Path) -> None:
    folder.mkdir()
    unpack(Layout(image.path), folder / ROOT)
