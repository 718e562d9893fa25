"""Scores of the digits network on the emulator and on ONNX Runtime alone."""

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend import import_model
from arrayloom.host.models import digits
from arrayloom.host.models.scoring import known_labels, rank_outputs, score_by_reference, score_on_device
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import DeviceError, InputError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.vision.detection import Detector
from arrayloom.isa.config import load_config
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.program import Program

FILES = [digits.IMAGES / "digit_3_0705.png", digits.IMAGES / "digit_7_1496.png"]


def test_device_and_reference_give_the_same_scores() -> None:
    imported, program = import_model(digits.MODEL), compile_model(digits.MODEL, config="tiny")
    batches = [load_inputs(file, program.model_inputs, "digits") for file in FILES]
    device = score_on_device(program, batches, open_device("emulator", load_config("tiny")), with_features=True)
    reference = score_by_reference(imported, batches)
    for one, other in zip(device.outputs, reference.outputs, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in ("logits",))
    assert len(device.features) == len(FILES) and reference.features == []
    assert device.report is not None and device.report.macs == len(FILES) * program.macs
    assert reference.report is None
    ranked = [rank_outputs(outputs, program.model_outputs, 1, None, 0.5) for outputs in device.outputs]
    assert [entry.label for ((entry,),) in ranked] == ["3", "7"]


def test_features_of_a_network_without_a_classifier() -> None:
    program = compile_model(digits.MODEL, config="tiny")
    program.features = None
    batches = [load_inputs(FILES[0], program.model_inputs, "digits")]
    with pytest.raises(DeviceError, match="it has no features"):
        score_on_device(program, batches, open_device("emulator", load_config("tiny")), with_features=True)


def _of_bytes() -> onnx.ModelProto:
    """Probabilities of three classes as int8, like the outputs of TensorFlow Lite models: scale 1/256, zero point -128."""
    net = Network(opset=17)
    net.quantize("x", 0.02, 128, output="bytes")
    mean = net.quantize(net.node("GlobalAveragePool", [net.dequantize("bytes", 0.02, 128)]), 0.02, 128)
    flat = net.node("Flatten", [net.dequantize(mean, 0.02, 128)])
    pair = [net.constant(np.float32(1 / 256)), net.constant(np.int8(-128))]
    net.node("QuantizeLinear", [net.node("Softmax", [flat]), *pair], "y")
    return net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"])


def test_bytes_are_ranked_as_the_values_that_they_stand_for() -> None:
    program = compile_model(_of_bytes(), "tiny")
    images = np.zeros((1, 3, 8, 8), np.float32)
    images[0, 1] = 1
    scores = score_on_device(program, [{"x": images}], open_device("emulator", load_config("tiny")))
    ((first, *_),) = rank_outputs(scores.outputs[0], program.model_outputs, 3, None, 0.5)
    assert scores.outputs[0]["y"].dtype == np.int8
    assert first.index == 1
    assert first.confidence == pytest.approx(np.e / (np.e + 2), abs=1 / 256)


def test_names_in_the_models_file_are_its_labels_where_there_is_one_for_each_class() -> None:
    model = _of_bytes()
    onnx.helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog', 2: 'owl'}"})
    program = Program.from_bytes(compile_model(model, "tiny").to_bytes())
    assert known_labels(program, None) == ["cat", "dog", "owl"]
    program.labels.append("one too many")
    assert known_labels(program, None) is None
    assert known_labels(program, Detector("yolov8")) == program.labels


def test_indices_are_no_classes_scores() -> None:
    port = ModelPort("kept", (3,), "int64")
    with pytest.raises(InputError, match="output 'kept': int64 are indices or counts"):
        rank_outputs({"kept": np.zeros((19, 3), np.int64)}, [port], None, None, 0.5)


@pytest.mark.parametrize(("batch", "reason"), [
    ({"image": np.zeros((0, 1, 8, 8), np.float32)}, "holds no image"),
    ({"other": np.zeros((1, 1, 8, 8))}, "'image' is missing"),
    ({"image": np.zeros((1, 1, 8, 8))}, "dtype float64 given"), ({"image": np.zeros((1, 3, 8, 8), np.float32)}, "shape")])
def test_the_reference_refuses_inputs_as_the_device_does(batch: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        score_by_reference(import_model(digits.MODEL), [batch])
    with pytest.raises(InputError, match=reason):
        score_on_device(compile_model(digits.MODEL, config="tiny"), [batch], open_device("emulator", load_config("tiny")))
