"""Arrayloom's layers of an image: their content, and how they are written.

The application layer holds the bundle and Arrayloom itself; an optional layer holds the server's dependencies. Layers
are reproducible tar archives: the same files give the same bytes. They are not compressed, since a compressor's output
changes with its version; therefore a layer's digest is also its ``diff_id``.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import arrayloom
from arrayloom import compiler, hdl, host, isa, sim
from arrayloom.host.workspace.errors import WorkspaceError

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"
ROOT = PurePosixPath("/opt/arrayloom")
BUNDLE, LIBRARY, PACKAGES = ROOT / "bundle", ROOT / "lib", ROOT / "site-packages"
SERVER_NEEDS = ("numpy", "onnx", "onnxruntime", "pillow", "rich", "threadpoolctl", "grpcio", "grpcio-reflection", "protobuf",
                "aiohttp", "prometheus-client")
"""Distributions that the server with the emulator imports; their requirements are included too."""
HISTORY = "arrayloom image create"
"""Prefix by which our layers are recognized in an image's history."""
_SKIPPED = {"__pycache__"}
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
FILE_MODE, FOLDER_MODE = 0o644, 0o755
Files = Mapping[PurePosixPath, Path | bytes]
"""An entry of a layer: its absolute path in the image, and a file or its bytes."""


class Layer(NamedTuple):
    """A layer on disk with its sha256 (hexadecimal) and size in bytes."""

    path: Path
    sha256: str
    size: int


class _Hashing:
    """A writable file that computes its sha256."""

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


def application(bundle: Path) -> Files:
    """The application layer: the bundle and Arrayloom itself."""
    files: dict[PurePosixPath, Path | bytes] = {BUNDLE / path.name: path for path in bundle.iterdir()}
    for package in (arrayloom, isa, hdl, sim, compiler, host):
        home, place = Path(str(package.__file__)).parent, LIBRARY.joinpath(*package.__name__.split("."))
        files |= {place / path.relative_to(home).as_posix(): path for path in _sources(home)}
    return files


def dependencies() -> Files:
    """The dependencies' layer: installed distributions of this environment, which must fit the base's Python."""
    files: dict[PurePosixPath, Path | bytes] = {}
    for found in _closure():
        for item in found.files or ():
            place = PurePosixPath(item)
            if ".." not in place.parts and not _SKIPPED.intersection(place.parts):
                files[PACKAGES / place] = Path(str(found.locate_file(item)))
    return {place: path for place, path in files.items() if isinstance(path, Path) and path.is_file()}


def _closure() -> Iterator[Distribution]:
    """The server's distributions and their installed requirements; those not installed are not needed here."""
    waiting, seen = list(SERVER_NEEDS), set[str]()
    while waiting:
        name = waiting.pop()
        if name.lower().replace("_", "-") in seen:
            continue
        seen.add(name.lower().replace("_", "-"))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if name in SERVER_NEEDS:
                raise WorkspaceError(f"{name} is not installed, and the server needs it; install it with: pip install "
                                     "'.[serve]'") from None
            continue
        yield found
        waiting += [_name(text) for text in found.requires or () if "extra ==" not in text]


def _name(requirement: str) -> str:
    match = _REQUIREMENT.match(requirement)
    assert match is not None, requirement
    return match[0]


def _sources(package: Path) -> Iterator[Path]:
    for path in package.rglob("*"):
        if path.is_file() and not _SKIPPED.intersection(path.parts):
            yield path
