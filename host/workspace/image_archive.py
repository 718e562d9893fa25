"""An image as one tar archive, for ``docker load``, ``podman load`` and ``skopeo copy oci-archive:``.

The archive is the OCI layout, and also the ``manifest.json`` that Docker's own format has; both name the same blobs.
"""

import json
import re
from pathlib import Path, PurePosixPath

from arrayloom.host.workspace.image_layer import write_tar
from arrayloom.host.workspace.image_layout import Descriptor, Layout
from arrayloom.isa.files import write_atomically

_JOINTS = re.compile(r"[^a-z0-9]+")


def repository(name: str) -> str:
    """An image's name as Docker takes it: lower case, parts joined by single dashes."""
    return _JOINTS.sub("-", name.lower()).strip("-")


def write_archive(layout: Layout, tag: str, target: Path) -> None:
    """Writes the tar archive of a layout, whole or not at all; ``tag`` as ``REPOSITORY:VERSION``."""
    (manifest,) = layout.manifests()
    parts = layout.read_json(manifest)
    blobs = [Descriptor.from_json(part, str(layout.folder)) for part in (parts["config"], *parts["layers"])]
    docker = [{"Config": _place(blobs[0]), "RepoTags": [tag], "Layers": [_place(blob) for blob in blobs[1:]]}]
    files: dict[PurePosixPath, Path | bytes] = {PurePosixPath("/manifest.json"): json.dumps(docker).encode()}
    for name in ("oci-layout", "index.json"):
        files[PurePosixPath("/", name)] = layout.folder / name
    for blob in (manifest, *blobs):
        files[PurePosixPath("/", _place(blob))] = layout.checked(blob)
    with write_atomically(target) as file:
        write_tar(files, file)


def _place(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.removeprefix('sha256:')}"
