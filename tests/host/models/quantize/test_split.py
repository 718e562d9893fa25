"""The float beginning and end of a quantized network, and the quantized rest."""

from typing import Any

import numpy as np
import onnx
import pytest
from float_networks import CHANNELS, SIDE, FloatNetwork, images
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.quantize import Calibration, Quantized, quantize

CALIBRATION = Calibration.from_arrays(images(6))


def _operators(quantized: Quantized) -> tuple[list[str], list[str]]:
    host = quantized.host.to_json()
    return [node["op"] for node in host["head"]], [node["op"] for node in host["tail"]]


def _sqnr(quantized: Quantized, given: dict[str, NDArray[Any]]) -> list[float]:
    before, after = Session(quantized.prepared.original).run(given), Session(quantized.model).run(given)
    return [float(10 * np.log10(np.square(before[name]).sum() / np.square(before[name] - after[name]).sum()))
            for name in before]


def _detector(n: FloatNetwork) -> onnx.ModelProto:
    """Boxes and scores at two scales, arranged as in detectors."""
    x = n.node("Relu", [n.conv("data")])
    y = n.node("Relu", [n.conv(x, strides=[2, 2])])
    parts = []
    for value in (x, y):
        boxes, scores = n.conv(value, outputs=4, kernel=1, pad=0), n.conv(value, outputs=3, kernel=1, pad=0)
        large = n.node("Mul", [boxes, n.constant(np.float32(64))])     # folded into the weights
        joined = n.node("Concat", [large, n.node("Sigmoid", [scores])], axis=1)
        parts.append(n.node("Reshape", [joined, n.constant(np.array([0, 7, -1]))]))
    return n.finish(n.node("Concat", parts, axis=2))


def test_the_boxes_and_scores_of_a_detector_stay_float() -> None:
    quantized = quantize(_detector(FloatNetwork()), CALIBRATION)
    assert _operators(quantized) == ([], ["Sigmoid", "Concat", "Sigmoid", "Concat", "Concat"])
    assert quantized.host.macs == 0
    scores = Session(quantized.model).run({"data": images(2)})
    wanted = Session(quantized.prepared.original).run({"data": images(2)})
    name = quantized.prepared.model.outputs[0]
    assert np.abs(scores[name][:, 4:] - wanted[name][:, 4:]).max() < 0.05    # they do not share the boxes' scale


def test_an_operator_that_only_the_host_has_ends_the_integers() -> None:
    n = FloatNetwork(opset=17)
    x = n.node("Relu", [n.conv("data")])
    flat = n.node("Flatten", [n.node("GlobalAveragePool", [n.node("Relu", [n.conv(x)])])])
    quantized = quantize(n.finish(n.node("LogSoftmax", [flat], axis=1)), CALIBRATION)
    assert _operators(quantized) == ([], ["LogSoftmax"])
    assert _sqnr(quantized, {"data": images(4, seed=9)})[0] > 30


def test_a_product_after_it_stays_float_while_it_is_small() -> None:
    """For example, the convolution of a distribution focal loss."""
    def network() -> onnx.ModelProto:
        n = FloatNetwork(opset=17)
        soft = n.node("Softmax", [n.conv(n.conv("data", outputs=60, kernel=5, pad=2), inputs=60)], axis=1)
        return n.finish(n.conv(soft, outputs=1, kernel=1, pad=0))

    quantized = quantize(network(), CALIBRATION)
    assert _operators(quantized)[1] == ["Conv"]    # a softmax is at every border, and is not listed
    assert 0 < quantized.host.share < 0.01
    with pytest.raises(UnsupportedError, match="Softmax"):
        quantize(network(), CALIBRATION, options=ImportOptions(HostPolicy.NONE))


def test_a_network_with_its_preprocessing() -> None:
    """The host converts bytes to float; the accelerator's input is quantized after the normalization."""
    n = FloatNetwork()
    x = n.node("Cast", ["picture"], to=onnx.TensorProto.FLOAT)
    centred = n.node("Sub", [x, n.constant(np.full((1, CHANNELS, 1, 1), 110, np.float32))])
    x = n.node("Div", [centred, n.constant(np.float32(60))])
    flat = n.node("Flatten", [n.node("GlobalAveragePool", [n.node("Relu", [n.conv(x)])])])
    y = n.node("Gemm", [flat, n.weights(10, CHANNELS), n.offsets(10)], transB=1)
    model = n.model({"picture": (np.uint8, ["N", CHANNELS, SIDE, SIDE])}, [y])
    pictures = np.random.default_rng(3).integers(0, 256, (6, CHANNELS, SIDE, SIDE)).astype(np.uint8)
    quantized = quantize(model, Calibration.from_arrays(pictures))
    assert _operators(quantized) == (["Cast", "Sub", "Div"], [])
    assert _sqnr(quantized, {"picture": pictures})[0] > 30


def test_features_without_a_classifier_stay_on_the_accelerator() -> None:
    n = FloatNetwork()
    x = n.node("Relu", [n.conv("data")])
    features = n.node("Relu", [n.node("Add", [n.conv(x), x])])
    quantized = quantize(n.finish(n.node("GlobalAveragePool", [features])), CALIBRATION)
    assert _operators(quantized) == ([], [])


def test_the_tail_of_a_fixed_batch() -> None:
    """The tail's constants have a batch of 1; the quantized network therefore takes one image."""
    n = FloatNetwork(opset=17)
    x = n.node("Relu", [n.conv("data")])
    flat = n.node("Reshape", [n.conv(x, outputs=4), n.constant(np.array([1, 4, SIDE * SIDE]))])
    anchors = n.constant(np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(1, 1, -1))
    spread = n.node("Expand", [anchors, n.constant(np.array([1, 4, SIDE * SIDE]))])
    y = n.node("Concat", [n.node("Add", [flat, anchors]), spread], axis=1)
    model = n.model({"data": (np.float32, [1, CHANNELS, SIDE, SIDE])}, [y])
    quantized = quantize(model, CALIBRATION)
    assert quantized.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert _operators(quantized)[1] == ["Add", "Concat"]
    assert import_model(quantized.model).graph.host.tail is not None
    assert _sqnr(quantized, {"data": images(1)})[0] > 30
