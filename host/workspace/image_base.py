"""Base images: what the user names, as an OCI image layout in a folder or a tar archive."""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.workspace.errors import DamagedError, WorkspaceError
from arrayloom.host.workspace.image_layout import CONFIG_TYPE, INDEX_TYPE, MANIFEST_TYPE, Descriptor, Layout

PLATFORM = {"os": "linux", "architecture": "amd64"}
"""Bit-exactness is promised on x86-64 only."""


@dataclass(frozen=True)
class Base:
    """A base image: its layout, configuration and layers from the bottom up."""

    layout: Layout
    config: dict[str, Any]
    layers: tuple[Descriptor, ...]

    @property
    def diff_ids(self) -> list[str]:
        return list(self.config["rootfs"]["diff_ids"])


def open_base(path: Path, scratch: Path) -> Base:
    """Reads a base; an archive is unpacked into ``scratch``.

    Raises ``WorkspaceError`` for a path that is none, or one without an image for linux/amd64.
    """
    if path.is_dir():
        layout = Layout(path)
    elif path.is_file():
        layout = Layout(_unpack(path, scratch))
    else:
        raise WorkspaceError(f"base {path}: no such folder or archive; make one with: skopeo copy docker://python:3.11-slim "
                             "oci:FOLDER")
    manifest = layout.read_json(_choose(layout, layout.manifests(), path))
    config = layout.read_json(Descriptor.from_json(manifest.get("config"), str(path)))
    layers = tuple(Descriptor.from_json(entry, str(path)) for entry in manifest.get("layers", []))
    _check(path, manifest, config, layers)
    return Base(layout, config, layers)


def _unpack(path: Path, scratch: Path) -> Path:
    try:
        with tarfile.open(path) as archive:
            archive.extractall(scratch, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise DamagedError(f"base {path}: cannot be unpacked: {error}; give an OCI image layout as folder or tar") from None
    return scratch


def _choose(layout: Layout, entries: list[Descriptor], path: Path) -> Descriptor:
    """The one manifest, or that for our platform among several; an index may refer to another."""
    fitting = [e for e in entries if "platform" not in e.more or PLATFORM.items() <= e.more["platform"].items()]
    if len(fitting) != 1:
        raise WorkspaceError(f"base {path}: {len(fitting)} images in it fit linux/amd64, it must be one; copy that alone: "
                             "skopeo copy --override-os linux --override-arch amd64 SOURCE oci:FOLDER")
    chosen = fitting[0]
    if chosen.media_type == INDEX_TYPE:
        nested = layout.read_json(chosen).get("manifests", [])
        return _choose(layout, [Descriptor.from_json(entry, str(path)) for entry in nested], path)
    return chosen


def _check(path: Path, manifest: dict[str, Any], config: dict[str, Any], layers: tuple[Descriptor, ...]) -> None:
    if manifest["config"]["mediaType"] != CONFIG_TYPE or manifest.get("mediaType", MANIFEST_TYPE) != MANIFEST_TYPE:
        raise WorkspaceError(f"base {path}: holds {manifest['config']['mediaType']}, not an OCI image; convert it with: "
                             "skopeo copy --format oci SOURCE oci:FOLDER")
    if (config.get("os"), config.get("architecture")) != (PLATFORM["os"], PLATFORM["architecture"]):
        raise WorkspaceError(f"base {path}: is for {config.get('os')}/{config.get('architecture')}, and the server runs on "
                             "linux/amd64; give a base for that")
    ids = config.get("rootfs", {}).get("diff_ids")
    if not isinstance(ids, list) or len(ids) != len(layers):
        raise DamagedError(f"base {path}: its configuration does not list its {len(layers)} layers; build the base again")
