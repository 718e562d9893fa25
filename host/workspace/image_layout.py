"""OCI image layouts (image-spec 1.0): a folder of blobs named after their sha256, and an index; also as a tar archive."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from arrayloom.host.workspace.errors import DamagedError
from arrayloom.host.workspace.files import CHUNK
from arrayloom.host.workspace.image_layers import Layer, write_tar
from arrayloom.isa.files import write_atomically

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MARKER, INDEX = "oci-layout", "index.json"
LAYOUT_VERSION = "1.0.0"
LARGEST_JSON = 16 << 20
_JOINTS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Descriptor:
    """A reference to a blob: media type, ``sha256:HEX``, size in bytes."""

    media_type: str
    digest: str
    size: int
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **self.more}

    @classmethod
    def from_json(cls, value: Any, where: str) -> "Descriptor":
        try:
            more = {name: item for name, item in value.items() if name not in ("mediaType", "digest", "size")}
            descriptor = cls(value["mediaType"], value["digest"], value["size"], more)
            algorithm, colon, digest = descriptor.digest.partition(":")
            well = algorithm == "sha256" and colon and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        except (TypeError, KeyError, AttributeError) as error:
            raise DamagedError(f"{where}: not an OCI descriptor, it lacks {error}; give an OCI image layout") from None
        if not well:
            raise DamagedError(f"{where}: digest {descriptor.digest!r} is not a sha256 digest; give an OCI image layout")
        return descriptor


class Layout:
    """An image layout in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """The empty layout."""
        (self.folder / "blobs" / "sha256").mkdir(parents=True)
        (self.folder / MARKER).write_text(json.dumps({"imageLayoutVersion": LAYOUT_VERSION}))

    def add_json(self, value: Mapping[str, Any], media_type: str) -> Descriptor:
        data = encode(value)
        digest = hashlib.sha256(data).hexdigest()
        self._blob(digest).write_bytes(data)
        return Descriptor(media_type, f"sha256:{digest}", len(data))

    def add_layer(self, layer: Layer, media_type: str) -> Descriptor:
        """Moves a layer in."""
        layer.path.rename(self._blob(layer.sha256))
        return Descriptor(media_type, f"sha256:{layer.sha256}", layer.size)

    def add_from(self, other: "Layout", descriptor: Descriptor) -> None:
        """Copies a blob from another layout and checks it."""
        shutil.copyfile(other.checked(descriptor), self.path_of(descriptor))

    def write_index(self, manifest: Descriptor) -> None:
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest.to_json()]}
        (self.folder / INDEX).write_bytes(encode(index))

    def path_of(self, descriptor: Descriptor) -> Path:
        return self._blob(descriptor.digest.removeprefix("sha256:"))

    def checked(self, descriptor: Descriptor) -> Path:
        """The blob's file; raises ``DamagedError`` if it is missing or does not match its digest and size."""
        path = self.path_of(descriptor)
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as error:
            raise DamagedError(f"{path}: cannot be read: {error.strerror}; the image layout is incomplete") from None
        if f"sha256:{digest.hexdigest()}" != descriptor.digest or size != descriptor.size:
            raise DamagedError(f"{path}: does not match its name and size ({descriptor.size}); make the image again")
        return path

    def read_json(self, descriptor: Descriptor) -> dict[str, Any]:
        """A checked blob as JSON."""
        if descriptor.size > LARGEST_JSON:
            raise DamagedError(f"{descriptor.digest}: {descriptor.size} bytes of JSON are more than an image has")
        return parse(self.checked(descriptor))

    def manifests(self) -> list[Descriptor]:
        """The index's entries; raises ``DamagedError`` if the folder is not a layout of this version."""
        marker = parse(self.folder / MARKER)
        if marker.get("imageLayoutVersion") != LAYOUT_VERSION:
            raise DamagedError(f"{self.folder}: not an OCI image layout of version {LAYOUT_VERSION}; make one with skopeo "
                               "copy SOURCE oci:FOLDER")
        index = self.folder / INDEX
        return [Descriptor.from_json(entry, str(index)) for entry in parse(index).get("manifests", [])]

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest


def encode(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def parse(path: Path) -> dict[str, Any]:
    """A JSON object; raises ``DamagedError``."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read as JSON: {error}; give a whole OCI image layout") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: must hold a JSON object")
    return value


def repository(name: str) -> str:
    """An image's name in the form that Docker accepts: lower case, parts joined by single dashes."""
    return _JOINTS.sub("-", name.lower()).strip("-")


def write_archive(layout: Layout, tag: str, target: Path) -> None:
    """Atomically writes a layout as one tar for ``docker load``, ``podman load`` and ``skopeo copy oci-archive:``.

    In addition to the layout, the archive has the ``manifest.json`` of Docker's own format; both refer to the same blobs.
    ``tag`` is ``REPOSITORY:VERSION``.
    """
    (manifest,) = layout.manifests()
    parts = layout.read_json(manifest)
    blobs = [Descriptor.from_json(part, str(layout.folder)) for part in (parts["config"], *parts["layers"])]
    docker = [{"Config": _place(blobs[0]), "RepoTags": [tag], "Layers": [_place(blob) for blob in blobs[1:]]}]
    files: dict[PurePosixPath, Path | bytes] = {PurePosixPath("/manifest.json"): json.dumps(docker).encode()}
    for name in (MARKER, INDEX):
        files[PurePosixPath("/", name)] = layout.folder / name
    for blob in (manifest, *blobs):
        files[PurePosixPath("/", _place(blob))] = layout.checked(blob)
    with write_atomically(target) as file:
        write_tar(files, file)


def _place(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.removeprefix('sha256:')}"
