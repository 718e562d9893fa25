"""Bundles: a round trip, and the refusal of every change after writing."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.serving import MANIFEST, Bundle, BundleError
from arrayloom.host.vision import RecipeError
from arrayloom.isa.program import Program


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, config="tiny")


@pytest.fixture
def folder(program: Program, tmp_path: Path) -> Path:
    Bundle.create("digits", program, 3, digits.LABELS, "digits", {"model": digits.MODEL.name}).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_round_trip(program: Program, folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert (bundle.name, bundle.version, bundle.recipe) == ("digits", 3, "digits")
    assert bundle.labels == tuple("0123456789")
    assert bundle.source == {"model": digits.MODEL.name}
    np.testing.assert_array_equal(bundle.program.instructions, program.instructions)
    np.testing.assert_array_equal(bundle.program.constants, program.constants)
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "labels.txt", "program.loom"]
    assert list(folder.parent.iterdir()) == [folder]


def test_without_labels_and_recipe(program: Program, tmp_path: Path) -> None:
    manifest = Bundle.create("plain", program).save(tmp_path / "plain")
    assert (manifest.labels, manifest.recipe, list(manifest.sha256)) == (None, None, ["program.loom"])
    loaded = Bundle.load(tmp_path / "plain")
    assert (loaded.labels, loaded.recipe, loaded.version) == (None, None, 1)


def test_paths_may_be_text(program: Program, tmp_path: Path) -> None:
    program.save(str(tmp_path / "digits.loom"))
    assert Program.load(str(tmp_path / "digits.loom")).to_bytes() == program.to_bytes()
    (tmp_path / "names.txt").write_text("\n".join("0123456789"))
    Bundle.create("digits", str(tmp_path / "digits.loom"), labels=str(tmp_path / "names.txt")).save(str(tmp_path / "bundle"))
    assert Bundle.load(str(tmp_path / "bundle")).labels == tuple("0123456789")


def test_folder_is_written_once(program: Program, folder: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        Bundle.create("digits", program).save(folder)
    with pytest.raises(BundleError, match="cannot be written"):
        Bundle.create("digits", program).save(folder / "absent" / "bundle")


@pytest.mark.parametrize("file", ["program.loom", "labels.txt"])
def test_damage_is_found(folder: Path, file: str) -> None:
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(BundleError, match=rf"bundle: {file} is damaged"):
        Bundle.load(folder)


@pytest.mark.parametrize(("change", "message"), [
    ({"program": "../program.loom"}, "plain name inside"),
    ({"program": "/etc/passwd"}, "plain name inside"),
    ({"labels": "a/b"}, "plain name inside"),
    ({"labels": 7}, "labels: must be a string or null"),
    ({"name": "../up"}, "name '../up'"),
    ({"name": ""}, "name ''"),
    ({"version": 0}, "version 0"),
    ({"version": "1"}, "version '1'"),
    ({"format": 9}, "format 9: this Arrayloom reads 1"),
    ({"sha256": {}}, "sha256: must name exactly"),
    ({"extra": 1}, "field 'extra' is unknown"),
    ({"recipe": "sepia"}, "unknown recipe 'sepia'"),
    ({"recipe": "imagenet"}, r"the model's input is \[N, 1, 8, 8\]"),
])
def test_manifests_that_are_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    fields = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(fields | change))
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_manifest(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="JSON"):
        Bundle.load(folder)


def test_links_and_missing_files(folder: Path) -> None:
    target = folder.parent / "elsewhere.loom"
    (folder / "program.loom").rename(target)
    with pytest.raises(BundleError, match=r"program\.loom cannot be read"):
        Bundle.load(folder)
    (folder / "program.loom").symlink_to(target)
    with pytest.raises(BundleError, match=r"program\.loom is a link, a pipe or a device"):
        Bundle.load(folder)
    (folder / "program.loom").unlink()
    os.mkfifo(folder / "program.loom")      # reading it would never end, and block the start of a service
    with pytest.raises(BundleError, match=r"program\.loom is a link, a pipe or a device"):
        Bundle.load(folder)


def test_parts_that_do_not_fit(program: Program, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="2 for 10 classes"):
        Bundle.create("digits", program, labels=["a", "b"])
    with pytest.raises(BundleError, match="line break"):
        Bundle.create("digits", program, labels=["a\nb"] * 10)
    with pytest.raises(BundleError, match="labels cannot be read"):
        Bundle.create("digits", program, labels=tmp_path / "absent.txt")
    with pytest.raises(RecipeError, match="imagenet"):
        Bundle.create("digits", program, recipe="imagenet")
