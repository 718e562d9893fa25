"""``arrayloom score`` with detectors whose outputs contain known boxes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import serving
from detectors import SIDE, planted_model, yolov8_rows
from PIL import Image

from arrayloom.compiler import compile_model
from arrayloom.host.cli.main import main
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.client import PredictionClient

NAMES = "{0: 'cat', 1: 'dog'}"
# A picture of 100x200 becomes 16x32 of the network's 32x32, from column 8: centre x, y, width, height, scores.
ROWS = {3: [14.0, 16, 8, 16, 0.875, 0], 4: [14.5, 16, 8, 16, 0.75, 0], 9: [4, 4, 4, 4, 0, 0.875],
        12: [20, 8, 4, 8, 0, 0.625]}
CAT, OTHER, DOG = [0.25, 0.125, 0.75, 0.625], [0.25, 0.15625, 0.75, 0.65625], [0.125, 0.625, 0.375, 0.875]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``portrait.png`` of 100x200, ``yolov8.onnx``, ``ssd.onnx`` and ``offsets.onnx``."""
    place = tmp_path_factory.mktemp("detectors")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (200, 100, 3), np.uint8)).save(place / "portrait.png")
    onnx.save(planted_model({"output0": (yolov8_rows(ROWS), 1 / 8)}, NAMES), place / "yolov8.onnx")
    scores, boxes = np.zeros((8, 3), np.float32), np.zeros((8, 4), np.float32)
    scores[:, 0], scores[2], boxes[2] = 1, [0.2, 0.6, 0.2], [0.25, 0.125, 0.5, 0.75]
    onnx.save(planted_model({"softmax": (scores, 1 / 255), "corners": (boxes, 1 / 128)}), place / "ssd.onnx")
    offsets = np.full((8, 4), -0.5, np.float32)
    offsets[:, 0], offsets[2] = 0.5, [0, 0, 0, 0]
    onnx.save(planted_model({"softmax": (scores, 1 / 255), "cat": (offsets, 1 / 64)}), place / "offsets.onnx")
    return place


def score(folder: Path, model: str, *more: str, recipe: str = "yolo") -> list[str]:
    arguments = ["score", str(folder / model), str(folder / "portrait.png"), "--preprocess", recipe]
    return [*arguments, *(("--backend", "onnxruntime") if "--backend" not in more else ()), *more]


def asked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def boxes(answer: dict[str, Any]) -> list[tuple[str, list[float]]]:
    (image,) = answer["images"]
    return [(entry["label"], entry["box"]) for entry in image["top"]]


@pytest.mark.parametrize("backend", ["onnxruntime", "emulator"])
def test_boxes_of_the_original_picture(backend: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(score(folder, "yolov8.onnx", "--backend", backend, "--config", "tiny"), capsys)
    assert answer["detector"] == {"name": "yolov8", "guessed": True}
    assert boxes(answer) == [("cat", CAT), ("dog", DOG)]      # one box lies in grey, the second cat overlaps


def test_thresholds_and_top(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert boxes(asked(score(folder, "yolov8.onnx", "--threshold", "0.7"), capsys)) == [("cat", CAT)]
    assert boxes(asked(score(folder, "yolov8.onnx", "--threshold", "0.875"), capsys)) == []
    every = [("cat", CAT), ("cat", OTHER), ("dog", DOG)]
    assert boxes(asked(score(folder, "yolov8.onnx", "--iou", "0.95"), capsys)) == every
    assert boxes(asked(score(folder, "yolov8.onnx", "--iou", "0.95", "--top", "2"), capsys)) == every[:2]


def test_the_guess_is_said_and_can_be_overridden(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(folder, "yolov8.onnx")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["   87.50%  cat  at 0.250, 0.125, 0.750, 0.625", "   62.50%  dog  at 0.125, 0.625, 0.375, 0.875",
                         "detector     yolov8 (guessed from 'output0' [1, 6, 21]; --detector overrides)"]
    answer = asked(score(folder, "yolov8.onnx", "--detector", "yolov8"), capsys)
    assert answer["detector"] == {"name": "yolov8", "guessed": False}
    assert boxes(answer) == [("cat", CAT), ("dog", DOG)]
    answer = asked(score(folder, "yolov8.onnx", "--detector", "none"), capsys)
    assert "detector" not in answer
    assert [len(image["top"]) for image in answer["images"]] == [5]


def test_arrays_have_no_letterbox(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 3, SIDE, SIDE), np.float32))
    answer = asked(["score", str(folder / "yolov8.onnx"), str(tmp_path / "two.npy"), "--backend", "onnxruntime"], capsys)
    assert len(answer["images"]) == 2
    assert answer["images"][1]["top"][0]["box"] == [8 / 32, 10 / 32, 24 / 32, 18 / 32]
    assert len(answer["images"][1]["top"]) == 3


def test_names_come_from_a_file_from_coco_or_from_the_model(folder: Path, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("mouse\nrat\n")
    found = {labels: [name for name, _ in boxes(asked(score(folder, "yolov8.onnx", "--labels", labels), capsys))]
             for labels in ("coco", str(tmp_path / "names.txt"))}
    assert list(found.values()) == [["person", "bicycle"], ["mouse", "rat"]]
    (tmp_path / "names.txt").write_text("mouse\n")
    assert main(score(folder, "yolov8.onnx", "--labels", str(tmp_path / "names.txt"))) == 2
    assert "1 labels, and class 1 was found; give a file with one label per class\n" in capsys.readouterr().err


@pytest.mark.parametrize(("names", "wanted"), [
    ("['cat', 'dog']", "cat"), ("{1: 'dog', 0: 'cat'}", "cat"), ("", "0"), ("{0: 'cat', 2: 'dog'}", "0"),
    ("__import__('os').getcwd()", "0"), ("(" * 10_000, "0"), ("{0: 1, 1: 2}", "0")])
def test_names_in_other_forms(names: str, wanted: str, folder: Path, tmp_path: Path,
                              capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(planted_model({"output0": (yolov8_rows({3: ROWS[3]}), 1 / 8)}, names), tmp_path / "named.onnx")
    assert main(["score", str(tmp_path / "named.onnx"), str(folder / "portrait.png"), "--preprocess", "yolo", "--backend",
                 "onnxruntime", "--json"]) == 0
    assert boxes(json.loads(capsys.readouterr().out))[0][0] == wanted


def test_an_ssd_without_and_with_its_priors(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(score(folder, "ssd.onnx", recipe="ssd"), capsys)
    assert answer["detector"] == {"name": "ssd", "guessed": True}
    assert boxes(answer) == [("1", [0.125, 0.25, 0.75, 0.5])]
    (tmp_path / "two.txt").write_text("fish\nbird\n")         # the background has no name
    labels = ("--labels", str(tmp_path / "two.txt"))
    assert boxes(asked(score(folder, "ssd.onnx", *labels, recipe="ssd"), capsys))[0][0] == "fish"
    assert main(score(folder, "offsets.onnx", recipe="ssd")) == 2
    assert "give them (priors=, --priors FILE.npy)" in capsys.readouterr().err
    np.save(tmp_path / "priors.npy", np.full((8, 4), 0.5))
    assert boxes(asked(score(folder, "offsets.onnx", "--priors", str(tmp_path / "priors.npy"), recipe="ssd"), capsys)) == [
        ("1", [0.25, 0.25, 0.75, 0.75])]


def test_boxes_are_drawn_on_the_original(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(folder, "yolov8.onnx", "--draw", str(tmp_path))) == 0
    before, after = (np.asarray(Image.open(file)) for file in (folder / "portrait.png", tmp_path / "portrait.boxes.png"))
    assert before.shape == after.shape
    changed = np.argwhere((before != after).any(axis=2))
    assert changed.min(axis=0).tolist() == [24, 12]         # the dog's top, the cat's left edge
    assert changed.max(axis=0)[0] == 149                    # the cat's bottom: 0.75 of 199 is 149.25
    assert np.array_equal(before[160:], after[160:])
    capsys.readouterr()


@pytest.mark.parametrize(("more", "message"), [
    (["--detector", "ssd"], "detector ssd: the outputs are 'output0' [1, 6, 21]"),
    (["--threshold", "2"], "threshold 2.0 (--threshold): must lie between 0 and 1"),
    (["--iou", "-1"], "iou -1.0 (--iou): must lie between 0 and 1"),
    (["--top", "0"], "--top 0: must be at least 1"),
    (["--priors", "absent.npy"], "absent.npy (--priors): numpy cannot read it"),
    (["--draw", "absent"], "--draw absent: is not a folder"),
])
def test_what_is_refused(more: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(score(folder, "yolov8.onnx", *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_pictures_of_one_name_are_not_drawn_over_one_another(folder: Path, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(folder / "yolov8.onnx"), str(folder / "portrait.png"), str(tmp_path / "portrait.png")]
    assert main([*command, "--preprocess", "yolo", "--backend", "onnxruntime", "--draw", str(tmp_path)]) == 2
    assert "several images would be drawn as portrait.boxes.png" in capsys.readouterr().err


def test_outputs_that_may_be_of_two_detectors(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(planted_model({"y": (yolov8_rows(ROWS).T, 1 / 8)}, NAMES), tmp_path / "swapped.onnx")
    command = ["score", str(tmp_path / "swapped.onnx"), str(folder / "portrait.png"), "--preprocess", "yolo", "--backend",
               "onnxruntime"]
    assert main(command) == 2
    assert "may be YOLOX's, or YOLOv8's with its axes swapped" in capsys.readouterr().err
    assert boxes(asked([*command, "--detector", "yolov8"], capsys)) == [("cat", CAT), ("dog", DOG)]


def test_a_service_preprocesses_and_boxes_are_those_of_the_model(folder: Path, tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    model = str(folder / "yolov8.onnx")
    bundle = Bundle.create("planted", compile_model(model, config="tiny"), labels=["cat", "dog"], recipe="yolo")
    bundle.save(tmp_path / "bundle")
    wanted = asked(score(folder, "yolov8.onnx"), capsys)
    with serving.Server(tmp_path, tmp_path / "bundle") as server:
        with PredictionClient("127.0.0.1", server.port) as client:
            assert client.recipe() == "yolo"
            assert client.input_shape() == (-1, 3, SIDE, SIDE)
        answer = asked(["score", "--address", f"127.0.0.1:{server.port}", str(folder / "portrait.png"), "--draw",
                        str(tmp_path)], capsys)
    assert answer["images"] == wanted["images"]
    assert answer["detector"] == wanted["detector"]
    assert (tmp_path / "portrait.boxes.png").exists()


def test_the_names_of_classes_go_into_programs_and_bundles(folder: Path, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    program = compile_model(folder / "yolov8.onnx", config="tiny")
    program.save(tmp_path / "yolov8.loom")
    command = ["score", str(tmp_path / "yolov8.loom"), str(folder / "portrait.png"), "--preprocess", "yolo", "--backend",
               "emulator"]
    assert boxes(asked(command, capsys)) == [("cat", CAT), ("dog", DOG)]
    assert Bundle.create("planted", tmp_path / "yolov8.loom").labels == ("cat", "dog")
    assert Bundle.create("planted", tmp_path / "yolov8.loom", labels=["a", "b"]).labels == ("a", "b")


@pytest.mark.parametrize(("more", "reason"), [
    (["ssd"], "detector ssd: the outputs are 'output0' [1, 6, 19]"), (["yolox"], "detector yolox: the outputs are"),
    (["yolov5", "--priors", "p.npy"], "priors (--priors): detector yolov5 has none")])
def test_outputs_of_another_form_are_refused_before_anything_runs(more: list[str], reason: str, folder: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    def run(*_: object) -> None:
        raise AssertionError("it ran")

    onnx.save(planted_model({"output0": (yolov8_rows(ROWS)[:, :19], 1 / 8)}), tmp_path / "short.onnx")
    np.save(tmp_path / "p.npy", np.full((8, 4), 0.5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arrayloom.host.cli.score.score_on_device", run)
    command = ["score", "short.onnx", str(folder / "portrait.png"), "--preprocess", "yolo", "--backend", "emulator",
               "--detector", *more]
    assert main(command) == 2
    assert reason in capsys.readouterr().err
