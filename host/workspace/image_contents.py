"""What an image holds besides its base: the bundle, the server, and on request the server's dependencies."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import arrayloom
from arrayloom import compiler, hdl, host, isa, sim
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image_layer import Files

ROOT = PurePosixPath("/opt/arrayloom")
BUNDLE, LIBRARY, PACKAGES = ROOT / "bundle", ROOT / "lib", ROOT / "site-packages"
SERVER_NEEDS = ("numpy", "onnx", "onnxruntime", "pillow", "rich", "grpcio", "protobuf", "aiohttp", "prometheus-client")
"""Distributions that the server imports with the emulator behind it; theirs come with them."""
_SKIPPED = {"__pycache__"}
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


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
    """The server's distributions and all that they require, as far as installed: what is not, is not needed here."""
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
