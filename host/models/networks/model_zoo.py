"""Networks from the public ONNX model zoo, downloaded by `arrayloom fetch` and checked from then on.

The zoo holds torchvision's networks as torch exported them. The SHA-256 of the first download is recorded next to the file;
a later download, and every use, must have the same.
"""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.specs import SPECS, Spec
from arrayloom.isa.files import write_atomically
from arrayloom.sim.rtl.cache import default_cache

ZOO = "https://huggingface.co/onnxmodelzoo/{name}_Opset18_torch_hub/resolve/main/{name}_Opset18.onnx"
"""Address of a network in the model zoo, by name."""

TIMEOUT = 30
"""Seconds without a byte after which a download is given up."""

LARGEST = 1 << 30
"""Limit in bytes; the largest of the networks, VGG-16, has 553 MB."""

_CHUNK = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Record:
    """Record of a download: the address, the SHA-256 and the size in bytes."""

    url: str
    sha256: str
    size: int


def default_folder() -> Path:
    """The folder ``zoo`` of the cache: ``~/.cache/arrayloom/zoo``, unless ``XDG_CACHE_HOME`` names another cache."""
    return default_cache() / "zoo"


def fetch(spec: Spec, folder: Path | None = None, url: str | None = None, progress: Progress | None = None) -> Path:
    """The network's file, downloaded if it does not exist yet.

    ``folder``: for files and records, None: `default_folder`; ``url``: replaces the zoo's; ``progress``:
    called with the bytes received and the total (0 if unknown).
    Raises ``NetworkError``: the zoo has no such network, the server cannot be reached, the download breaks off or is too
    large, or the file is not the one recorded.
    """
    target = (folder or default_folder()) / f"{spec.name}.onnx"
    address = url or _address(spec)
    record = _read(_record_path(target))
    if record and target.is_file():
        _insist(target, _digest(target), record)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with write_atomically(target) as file:
            got = _download(address, file, progress)
            _insist(target, got.sha256, record)
        if record is None:
            with write_atomically(_record_path(target)) as file:
                file.write((json.dumps(asdict(got), indent=2) + "\n").encode())
    except OSError as error:
        raise NetworkError(f"{target}: cannot be written: {error.strerror}") from None
    return target


def _address(spec: Spec) -> str:
    if spec.zoo is None:
        available = ", ".join(each.name for each in SPECS.values() if each.zoo)
        raise NetworkError(f"{spec.name}: the model zoo has no such network (it has {available}); give the state_dict of "
                           "torchvision's ssd300_vgg16 as --weights, or a seed for random weights")
    return ZOO.format(name=spec.zoo)


def _download(url: str, file: IO[bytes], progress: Progress | None) -> Record:
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            expected = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > LARGEST:
                    raise NetworkError(f"{url}: sends more than {LARGEST:,} bytes, more than any network here; stopped")
                digest.update(chunk)
                file.write(chunk)
                if progress:
                    progress(done, expected)
    except urllib.error.HTTPError as error:
        raise NetworkError(f"{url}: the server answers {error.code} {error.reason}; download the file by other means and "
                           "give it as --weights") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NetworkError(f"{url}: cannot be downloaded ({reason}); check the connection, or download the file elsewhere "
                           "and give it as --weights") from None
    if done < expected or not done:
        raise NetworkError(f"{url}: the download broke off after {done:,} of {expected:,} bytes; try again")
    return Record(url, digest.hexdigest(), done)


def _insist(target: Path, found: str, record: Record | None) -> None:
    if record and found != record.sha256:
        raise NetworkError(f"{target}: has the SHA-256 {found}, but {record.sha256} was recorded when it was first "
                           f"downloaded from {record.url}; if the change is meant, delete {_record_path(target)}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record_path(target: Path) -> Path:
    return target.with_suffix(".json")


def _read(path: Path) -> Record | None:
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Record(str(values["url"]), str(values["sha256"]), int(values["size"]))
    except (ValueError, KeyError, TypeError):
        raise NetworkError(f"{path}: is not a record that arrayloom fetch wrote; delete it to download again") from None
