"""The class names shipped with Arrayloom, and when they are used in place of a file."""

from pathlib import Path

import numpy as np
import pytest

from arrayloom.host.vision.class_names import BUILT_IN, VOC_CLASSES, fitted
from arrayloom.host.vision.classify import load_labels, rank
from arrayloom.host.vision.errors import LabelError


def test_imagenet_has_its_classes_in_order(shared_data: Path) -> None:
    names = load_labels(Path("imagenet"))
    assert names == (shared_data / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()


def test_the_built_in_names() -> None:
    counts = {name: len(make()) for name, make in BUILT_IN.items()}
    assert counts == {"imagenet": 1000, "voc": 21, "coco": 80}
    assert load_labels(Path("imagenet"))[281] == "tabby, tabby cat"
    assert load_labels(Path("voc"))[8] == "cat"


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("voc").write_text("mine\n")
    Path("coco").mkdir()
    assert load_labels(Path("voc")) == ["mine"]
    assert len(load_labels(Path("coco"))) == 80


def test_what_is_no_file_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"absent: labels cannot be read.*or one of imagenet, voc, coco"):
        load_labels(tmp_path / "absent")


def test_the_background_goes_where_there_is_no_class_for_it() -> None:
    assert fitted(VOC_CLASSES, 21)[0] == "background"
    assert fitted(VOC_CLASSES, 20) == VOC_CLASSES[1:]
    assert rank(np.eye(20)[7], 1, list(VOC_CLASSES))[0].label == "cat"
