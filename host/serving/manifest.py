"""The content of a bundle's ``bundle.json``, and valid names and versions of models."""

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from arrayloom.host.serving.errors import BundleError

MANIFEST = "bundle.json"
FORMAT = 1
LARGEST_VERSION = (1 << 63) - 1         # versions are int64 in messages
_FILE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]*(\.[a-zA-Z0-9\-_]+)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")
"""Valid names of models, images and services (full match): they also appear in messages and as folder names. The rule
is that of Azure Machine Learning's model registry."""


@dataclass(frozen=True)
class Manifest:
    """The fields of ``bundle.json``; raises ``BundleError`` for an invalid field.

    Parameters
    ----------
    name, version
        Name and version of the model.
    program, labels
        Names of files in the bundle's own folder; ``labels`` may be None.
    recipe
        The name of the preprocessing, or None if only tensors are accepted.
    sha256
        SHA-256 of every file, by file name.
    source
        Where the program comes from, as JSON values.
    format
        Version of the bundle format.
    """

    name: str
    version: int
    program: str
    labels: str | None
    recipe: str | None
    sha256: Mapping[str, str]
    source: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        check_name(self.name)
        check_version(self.version)
        if self.format != FORMAT:
            raise BundleError(f"format {self.format!r}: this Arrayloom reads {FORMAT}; make the bundle again")
        for file in self.files:
            if not isinstance(file, str) or not _FILE.fullmatch(file) or file == MANIFEST:
                raise BundleError(f"file name {file!r}: must be a plain name inside the bundle's folder")
        if not isinstance(self.sha256, Mapping) or set(self.sha256) != set(self.files):
            raise BundleError(f"sha256: must name exactly the files {', '.join(self.files)}")
        if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in self.sha256.values()):
            raise BundleError("sha256: must be 64 hexadecimal digits for every file")

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the folder other than ``bundle.json``."""
        return (self.program,) if self.labels is None else (self.program, self.labels)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the manifest of a bundle's folder; raises ``BundleError``, which names the folder."""
        try:
            return cls.from_json(read_plain(folder / MANIFEST).decode())
        except (BundleError, UnicodeDecodeError) as error:
            raise BundleError(f"{folder}: {error}") from None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parses a manifest; raises ``BundleError`` for anything else."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise BundleError("must be a JSON object")
        wanted = set(cls.__dataclass_fields__)
        if wrong := sorted(wanted ^ set(fields)):
            raise BundleError(f"field {wrong[0]!r} is {'missing' if wrong[0] in wanted else 'unknown'}")
        for name in ("recipe", "labels"):
            if not isinstance(fields[name], str | None):
                raise BundleError(f"{name}: must be a string or null")
        return cls(**fields)


def check_name(name: object) -> None:
    """Raises ``BundleError`` if it is not a valid model name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BundleError(f"name {name!r}: must begin with a letter or digit and hold only letters, digits, '-', '.' and "
                          "'_', 255 at most")


def check_version(version: object) -> None:
    """Raises ``BundleError`` if it is not a valid version."""
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= LARGEST_VERSION:
        raise BundleError(f"version {version!r}: must be an integer from 1 up")


def read_plain(path: Path) -> bytes:
    """Reads a file of a bundle; raises ``BundleError``."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BundleError(f"{path.name} is a link, a pipe or a device; a bundle holds plain files")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error.strerror}") from None
