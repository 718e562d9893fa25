"""Serves an image without a container engine: unpacks its layers and starts its entry point."""

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.serving.needs import REMEDY, missing
from arrayloom.host.workspace import files
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image_layers import HISTORY, PACKAGES, ROOT
from arrayloom.host.workspace.image_layout import Descriptor, Layout, encode, parse
from arrayloom.host.workspace.server_process import LOG, LOOPBACK, START_SECONDS, Address, ServerProcess

STOP_SECONDS = 30.0
CONFIG = "image.json"
LOCAL = ["--host", LOOPBACK, "--port", "0", "--http-port", "0"]


@dataclass(frozen=True)
class LocalServer:
    """A server that runs: its address, process and log."""

    address: Address
    pid: int
    log: Path


@contextmanager
def serve(layout: Layout, options: Sequence[str] = ()) -> Iterator[LocalServer]:
    """Unpacks and starts an image; by default on free ports of the loopback address. ``options`` are those of ``arrayloom
    serve``.

    The command, environment and working folder are the image's; ``python3`` is this interpreter.
    """
    place = Path(tempfile.mkdtemp(prefix="arrayloom-image-"))
    process = ServerProcess(place)
    try:
        unpack(layout, place / "root")
        command, environment, home = entry_point(place / "root")
        process.start([*command, *LOCAL, *options], environment, home)
        process.require_healthy("the image's server", START_SECONDS)
        pid, address = process.pid, process.address
        assert pid is not None and address is not None
        yield LocalServer(address, pid, place / LOG)
    finally:
        process.stop(STOP_SECONDS)
        shutil.rmtree(place, ignore_errors=True)


def has_base(layout: Layout) -> bool:
    """Whether an image has a base below our layers."""
    _, layers, own = _parts(layout)
    return len(layers) > own


def _parts(layout: Layout) -> tuple[dict[str, Any], list[Any], int]:
    """The image's configuration, its layers, and how many of the last ones are ours."""
    (manifest,) = layout.manifests()
    parts = layout.read_json(manifest)
    image = layout.read_json(Descriptor.from_json(parts["config"], str(layout.folder)))
    own = sum(str(step.get("created_by", "")).startswith(HISTORY) for step in image["history"])
    return image, parts["layers"], own


def unpack(layout: Layout, root: Path) -> None:
    """Unpacks our layers of an image, not the base's, and writes the image's configuration next to them.

    Raises ``WorkspaceError`` if packages that its server needs are missing.
    """
    image, layers, own = _parts(layout)
    for part in layers[-own:]:
        with tarfile.open(layout.checked(Descriptor.from_json(part, str(layout.folder)))) as archive:
            files.extract(archive, root)
    (root / CONFIG).write_bytes(encode(image))
    if not (root / PACKAGES.relative_to("/")).is_dir() and (absent := missing()):
        raise WorkspaceError(f"the image's server needs {', '.join(absent)}, which are not installed here and not in the "
                             f"image; {REMEDY}, or create the image with --dependencies")


def entry_point(root: Path) -> tuple[list[str], dict[str, str], Path]:
    """Command, environment and working folder of an image unpacked in ``root``."""
    config = parse(root / CONFIG)["config"]
    command = [sys.executable if word == "python3" else _inside(word, root) for word in config["Entrypoint"]]
    environment = dict(_inside(item, root).split("=", 1) for item in config["Env"])
    return command, environment, Path(_inside(config["WorkingDir"], root))


def _inside(text: str, root: Path) -> str:
    """Translates paths in the image to paths below ``root``."""
    return text.replace(str(ROOT), str(root / ROOT.relative_to("/")))
