"""Bundles: a compiled program with all that serving it needs, in one folder that can be checked.

The folder's ``bundle.json`` says what it holds, with the SHA-256 of every file.
"""

import hashlib
import io
import json
import math
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from PIL import Image

from arrayloom.host.serving.errors import BundleError
from arrayloom.host.vision import RecipeError, input_size, preprocess, recipe
from arrayloom.host.vision.class_names import fitted
from arrayloom.host.vision.classify import load_labels
from arrayloom.host.vision.errors import LabelError
from arrayloom.isa.files import make_folder_atomically
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.program import SUFFIX, Program, ProgramError

MANIFEST = "bundle.json"
PROGRAM_FILE, LABELS_FILE = f"program{SUFFIX}", "labels.txt"
FORMAT = 1
LARGEST_VERSION = (1 << 63) - 1         # versions travel as int64
_FILE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]*(\.[a-zA-Z0-9\-_]+)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")
"""The names of models, images and services, which are also names on the wire and of folders; to be matched whole. The rule
is that of Azure Machine Learning's model registry."""


@dataclass(frozen=True)
class Manifest:
    """The fields of ``bundle.json``; raises ``BundleError`` for a field that cannot be.

    Parameters
    ----------
    name, version
        Of the model.
    program, labels
        Names of files in the bundle's own folder; ``labels`` may be None.
    recipe
        The name of the preprocessing, or None where only tensors are taken.
    sha256
        Of every file, by its name.
    source
        Where the program comes from, as JSON values.
    format
        Of bundles.
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
        """The other files of the folder, next to ``bundle.json``."""
        return (self.program,) if self.labels is None else (self.program, self.labels)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ``BundleError`` for anything but a manifest of this format."""
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


@dataclass(frozen=True)
class Bundle:
    """A compiled program with the name and version it is served under, its class names and its preprocessing.

    Parameters
    ----------
    name, version
        Under which it is served.
    program
        What runs.
    labels
        Names of the classes, one a class, or None.
    recipe
        Name of the preprocessing of encoded images, or None where only tensors are taken.
    source
        Lineage as JSON values.
    """

    name: str
    version: int
    program: Program
    labels: tuple[str, ...] | None
    recipe: str | None
    source: Mapping[str, Any]

    @classmethod
    def create(cls, name: str, program: Program | Path, version: int = 1, labels: Sequence[str] | Path | None = None,
               recipe: str | None = None, source: Mapping[str, Any] | None = None) -> Self:
        """From a program or program file and labels or a file of labels, one a line; without, those that the program holds.

        Raises
        ------
        BundleError
            For a bad name, version or labels.
        ProgramError
            For the program file.
        RecipeError
            For a recipe that is unknown or does not make the program's input.
        """
        check_name(name)
        check_version(version)
        loaded = Program.load(program) if isinstance(program, Path) else program
        lines = _read_labels(labels) if isinstance(labels, Path) else labels
        lines = None if lines is None else fitted(lines, _class_count(loaded))
        if lines is None and len(loaded.labels) >= max(_class_count(loaded), 1):
            lines = loaded.labels
        bundle = cls(name, version, loaded, None if lines is None else tuple(lines), recipe, dict(source or {}))
        bundle._check()
        return bundle

    def save(self, folder: Path) -> Manifest:
        """Writes ``folder``, whole or not at all; raises ``BundleError`` where it exists already or cannot be written."""
        if folder.exists():
            raise BundleError(f"{folder}: exists already; choose another folder or remove it first")
        try:
            with make_folder_atomically(folder) as temporary:
                return self._write(temporary)
        except OSError as error:
            raise BundleError(f"{folder}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a folder and checks every file's SHA-256; raises ``BundleError`` naming folder and file or field."""
        try:
            manifest = Manifest.from_json(_read(folder / MANIFEST).decode())
            contents = {file: _read(folder / file) for file in manifest.files}
            for file, content in contents.items():
                if hashlib.sha256(content).hexdigest() != manifest.sha256[file]:
                    raise BundleError(f"{file} is damaged (its SHA-256 is not the one in {MANIFEST}); make the bundle again")
            labels = None if manifest.labels is None else tuple(contents[manifest.labels].decode().splitlines())
            program = Program.from_bytes(contents[manifest.program], manifest.program)
            bundle = cls(manifest.name, manifest.version, program, labels, manifest.recipe, manifest.source)
            bundle._check()
        except (BundleError, ProgramError, RecipeError, UnicodeDecodeError) as error:
            raise BundleError(f"{folder}: {error}") from None
        return bundle

    def _write(self, folder: Path) -> Manifest:
        contents = {PROGRAM_FILE: self.program.to_bytes()}
        if self.labels is not None:
            contents[LABELS_FILE] = "".join(f"{label}\n" for label in self.labels).encode()
        for file, content in contents.items():
            (folder / file).write_bytes(content)
        digests = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
        manifest = Manifest(self.name, self.version, PROGRAM_FILE, None if self.labels is None else LABELS_FILE,
                            self.recipe, digests, dict(self.source))
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        return manifest

    def _check(self) -> None:
        classes = _class_count(self.program)
        if self.labels is not None and len(self.labels) < classes:
            raise BundleError(f"labels: {len(self.labels)} for {classes} classes; give one a class")
        if self.labels is not None and any(len(label.splitlines()) > 1 for label in self.labels):
            raise BundleError("labels: a label holds a line break; labels are kept one a line")
        if self.recipe is not None:
            _check_recipe(self.recipe, self.program.model_inputs)


def check_name(name: object) -> None:
    """Raises ``BundleError`` for what is no model name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BundleError(f"name {name!r}: must begin with a letter or digit and hold only letters, digits, '-', '.' and "
                          "'_', 255 at most")


def check_version(version: object) -> None:
    """Raises ``BundleError`` for what is no version."""
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= LARGEST_VERSION:
        raise BundleError(f"version {version!r}: must be an integer from 1 up")


def _class_count(program: Program) -> int:
    """How many classes a classifier ranks; 0 where that cannot be told."""
    return _classes(program.model_outputs[0]) if len(program.model_outputs) == 1 else 0


def _classes(port: ModelPort) -> int:
    """How many scores an output holds of one image; 0 for boxes and maps of classes, of which several dimensions are larger
    than 1."""
    count = math.prod(port.shape)
    return count if port.shape and count == max(port.shape) else 0


def _check_recipe(name: str, ports: Sequence[ModelPort]) -> None:
    """A blank image of the input's own size shows whether the recipe makes that input."""
    recipe(name)
    size = input_size((1, *ports[0].shape)) if len(ports) == 1 else None
    if size is None:
        raise RecipeError(f"recipe {name}: the model must have one input of shape [N, C, H, W] or [N, H, W, C] to take "
                          "images")
    blank = io.BytesIO()
    Image.new("RGB", size[::-1]).save(blank, "PNG")
    encode = ports[0].encoding.apply if ports[0].encoding else None
    preprocess(blank.getvalue(), name, ("N", *ports[0].shape), ports[0].dtype, encode)


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BundleError(f"{path.name} is a link, a pipe or a device; a bundle holds plain files")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error.strerror}") from None


def _read_labels(path: Path) -> list[str]:
    try:
        return load_labels(path)
    except LabelError as error:
        raise BundleError(str(error)) from None
