"""Bundles: a compiled program and everything needed to serve it, in one folder with checksums.

The folder's ``bundle.json`` lists its contents with the SHA-256 of every file.
"""

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image

from arrayloom.host.serving.errors import BundleError
from arrayloom.host.serving.manifest import MANIFEST, Manifest, check_name, check_version, read_plain
from arrayloom.host.vision import RecipeError, input_size, preprocess, recipe
from arrayloom.host.vision.class_names import fitted
from arrayloom.host.vision.classify import load_labels
from arrayloom.host.vision.errors import LabelError
from arrayloom.isa.files import make_folder_atomically
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.program import SUFFIX, Program, ProgramError

PROGRAM_FILE, LABELS_FILE = f"program{SUFFIX}", "labels.txt"


@dataclass(frozen=True)
class Bundle:
    """A compiled program with its served name and version, its class names and its preprocessing.

    Parameters
    ----------
    name, version
        The name and version that clients ask for.
    program
        The compiled program.
    labels
        Class names in the order of the outputs, or None.
    recipe
        Name of the preprocessing of encoded images, or None if the bundle accepts tensors only.
    source
        Where the program comes from, as JSON values.
    """

    name: str
    version: int
    program: Program
    labels: tuple[str, ...] | None
    recipe: str | None
    source: Mapping[str, Any]

    @classmethod
    def create(cls, name: str, program: Program | str | Path, version: int = 1,
               labels: Sequence[str] | str | Path | None = None, recipe: str | None = None,
               source: Mapping[str, Any] | None = None) -> Self:
        """Makes a bundle from a program (or its file) and labels (or a file with one per line; default: the program's own).

        Raises
        ------
        BundleError
            The name, the version or the labels are invalid.
        ProgramError
            The program file cannot be read.
        RecipeError
            The recipe is unknown or does not produce the program's input.
        """
        check_name(name)
        check_version(version)
        loaded = program if isinstance(program, Program) else Program.load(Path(program))
        lines = _read_labels(Path(labels)) if isinstance(labels, str | Path) else labels
        lines = None if lines is None else fitted(lines, _class_count(loaded))
        if lines is None and len(loaded.labels) >= max(_class_count(loaded), 1):
            lines = loaded.labels
        bundle = cls(name, version, loaded, None if lines is None else tuple(lines), recipe, dict(source or {}))
        bundle._check()
        return bundle

    def save(self, folder: str | Path) -> Manifest:
        """Writes ``folder`` atomically; raises ``BundleError`` if it already exists or cannot be written."""
        folder = Path(folder)
        if folder.exists():
            raise BundleError(f"{folder}: exists already; choose another folder or remove it first")
        try:
            with make_folder_atomically(folder) as temporary:
                return self._write(temporary)
        except OSError as error:
            raise BundleError(f"{folder}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads a folder and checks every file's SHA-256; raises ``BundleError`` naming folder and file or field."""
        folder = Path(folder)
        try:
            manifest = Manifest.from_json(read_plain(folder / MANIFEST).decode())
            contents = {file: read_plain(folder / file) for file in manifest.files}
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
            raise BundleError(f"labels: {len(self.labels)} for {classes} classes; give one per class")
        if self.labels is not None and any(len(label.splitlines()) > 1 for label in self.labels):
            raise BundleError("labels: a label holds a line break; labels are stored one per line")
        if self.recipe is not None:
            _check_recipe(self.recipe, self.program.model_inputs)


def _class_count(program: Program) -> int:
    """The number of classes of a classifier; 0 if it is unknown."""
    return _classes(program.model_outputs[0]) if len(program.model_outputs) == 1 else 0


def _classes(port: ModelPort) -> int:
    """The number of scores per image in an output; 0 for boxes and class maps, which have several dimensions larger
    than 1."""
    count = math.prod(port.shape)
    return count if port.shape and count == max(port.shape) else 0


def _check_recipe(name: str, ports: Sequence[ModelPort]) -> None:
    """Preprocesses a blank image of the input's size to check that the recipe produces that input."""
    recipe(name)
    size = input_size((1, *ports[0].shape)) if len(ports) == 1 else None
    if size is None:
        raise RecipeError(f"recipe {name}: the model must have one input of shape [N, C, H, W] or [N, H, W, C] to take "
                          "images")
    blank = io.BytesIO()
    Image.new("RGB", size[::-1]).save(blank, "PNG")
    encode = ports[0].encoding.apply if ports[0].encoding else None
    preprocess(blank.getvalue(), name, ("N", *ports[0].shape), ports[0].dtype, encode)


def _read_labels(path: Path) -> list[str]:
    try:
        return load_labels(path)
    except LabelError as error:
        raise BundleError(str(error)) from None
