"""How a service on this machine is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.server_process import serve_options

OWNED = ("name", "keys_file")
"""Settings that the workspace sets itself."""


@dataclass(frozen=True)
class ServiceConfiguration:
    """The server's settings, and whether it asks for a key; made by ``LocalWebservice.deploy_configuration``."""

    settings: Settings
    auth_enabled: bool

    @property
    def tls(self) -> bool:
        return self.settings.tls_cert is not None

    def options(self, name: str, keys_file: Path, ports: Mapping[str, int]) -> list[str]:
        """The settings as options of ``arrayloom serve``; ``ports``: ``port`` and ``http_port`` once they are known.

        Includes default values, since the options follow those of the image's own command and must override them.
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
            Settings of ``arrayloom serve``, named as in ``arrayloom.host.serving.core.settings.Settings``; by default,
            free ports are chosen once and kept.

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
