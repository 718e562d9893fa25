"""SSD and YOLO networks as other tools export them: outputs are recognized, decoded or refused."""

from pathlib import Path

import onnxruntime
import pytest

from arrayloom.host.vision import load_image, recipe
from arrayloom.host.vision.detection import find_boxes, guess_detector
from arrayloom.host.vision.errors import DetectionError

SIZE = (64, 64)


@pytest.mark.parametrize(("file", "name", "guessed", "recipe_name"), [
    ("float/yolov8n.onnx", "yolov8", True, "yolo"),
    ("int8/ort_A_yolov8n_qdq_u8s8_pc.onnx", "yolov8", True, "yolo"),
    ("float/float_yolox.onnx", "yolox", False, "yolo"),
    ("float/float_ssd.onnx", "ssd", True, "ssd"),
    ("int8/ort_A_ssd_qdq_u8s8_pc.onnx", "ssd", True, "ssd"),
])
def test_outputs_of_exported_detectors(file: str, name: str, guessed: bool, recipe_name: str, shared_data: Path) -> None:
    session = onnxruntime.InferenceSession(shared_data / "exported" / file)
    picture = load_image(shared_data / "images" / "owl.jpg")
    chosen = recipe(recipe_name).fitted(*SIZE)
    values = session.run(None, {session.get_inputs()[0].name: chosen.apply(picture)})
    outputs = {port.name: array for port, array in zip(session.get_outputs(), values, strict=True)}
    detector = guess_detector({key: array.shape for key, array in outputs.items()}, SIZE)
    assert (detector.name if detector else None) == (name if guessed else None)
    if name == "ssd":       # no file contains its priors
        with pytest.raises(DetectionError, match="holds offsets from prior boxes"):
            find_boxes(outputs, SIZE)
        return
    place = chosen.geometry(*picture.shape[:2])
    (seen,) = find_boxes(outputs, SIZE, name, threshold=0.0001, geometries=[place])
    if file.startswith("int8"):     # boxes and scores share one scale of 2 or more, which rounds every score to 0
        assert len(seen.scores) == 0
        return
    assert len(seen.scores) > 0
    assert seen.boxes.min() >= 0
    assert seen.boxes.max() <= 1
    assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()
