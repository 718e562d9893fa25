"""Layers: uncompressed tar archives in which the same files always give the same bytes.

Uncompressed, because a compressor's bytes change with its version; a layer's digest is then also its ``diff_id``.
"""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"
FILE_MODE, FOLDER_MODE = 0o644, 0o755
Files = Mapping[PurePosixPath, Path | bytes]
"""What a layer holds: its absolute path in the image, and a file or its bytes."""


class Layer(NamedTuple):
    """A layer on disk with its sha256 (hexadecimal) and size in bytes."""

    path: Path
    sha256: str
    size: int


class _Hashing:
    """A file to write to that knows its sha256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


def write_layer(files: Files, target: Path) -> Layer:
    """Writes the archive into a new file."""
    with target.open("wb") as file:
        digest, size = write_tar(files, file)
    return Layer(target, digest, size)


def write_tar(files: Files, file: IO[bytes]) -> tuple[str, int]:
    """Writes entries sorted, owned by root, dated 1970, no other metadata; returns sha256 and size in bytes."""
    folders = {folder for path in files for folder in path.relative_to("/").parents} - {PurePosixPath(".")}
    names: dict[str, Path | bytes | None] = {str(folder): None for folder in folders}
    names |= {str(path.relative_to("/")): content for path, content in files.items()}
    hashing = _Hashing(file)
    with tarfile.open(mode="w|", fileobj=hashing, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name in sorted(names):
            _add(archive, name, names[name])
    return hashing.digest.hexdigest(), hashing.size


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes | None) -> None:
    info = tarfile.TarInfo(name)
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, FOLDER_MODE
        archive.addfile(info)
        return
    info.mode = FILE_MODE
    if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as file:
        archive.addfile(info, file)
