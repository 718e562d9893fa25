"""Workspaces: models, images and services with versions and lineage, in one folder and without an account."""

from arrayloom.host.workspace.errors import (
    BusyError,
    DamagedError,
    ExistsError,
    InUseError,
    NotFoundError,
    WorkspaceError,
)
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.workspace import Workspace

__all__ = [
    "BusyError",
    "DamagedError",
    "ExistsError",
    "InUseError",
    "Model",
    "NotFoundError",
    "Workspace",
    "WorkspaceError",
]
