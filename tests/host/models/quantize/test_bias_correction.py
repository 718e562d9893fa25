"""Bias correction, which compensates for rounded weights."""

import numpy as np
import onnx
from float_networks import CHANNELS, FloatNetwork, images

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.quantize import Calibration, quantize
from arrayloom.host.models.quantize.bias_correction import correct_biases, mean_sqnr

INPUTS = np.abs(images(8)) + 2     # with a mean far from 0, as after a Relu


def _with_rounded_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with every weight of two or more dimensions in 4 bits per channel, through DequantizeLinear."""
    rounded = onnx.ModelProto()
    rounded.CopyFrom(model)
    for tensor in list(rounded.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim > 1:
            scale = (np.abs(values).reshape(len(values), -1).max(axis=1) / 7).astype(np.float32)
            integers = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
            tensor.name += "_float"
            name = tensor.name.removesuffix("_float")
            rounded.graph.initializer.extend([onnx.numpy_helper.from_array(integers, f"{name}_bytes"),
                                              onnx.numpy_helper.from_array(scale, f"{name}_scale")])
            dequantizer = onnx.helper.make_node("DequantizeLinear", [f"{name}_bytes", f"{name}_scale"], [name], axis=0)
            rounded.graph.node.insert(0, dequantizer)
    return rounded


def _network(group: int) -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.conv("data", group=group, pad=0)
    flat = n.node("Flatten", [n.node("GlobalAveragePool", [x])])
    return n.finish(n.node("Gemm", [flat, n.weights(10, CHANNELS), n.offsets(10)], transB=1))


def _check_mean(group: int) -> None:
    model = Model(_network(group))
    rounded = _with_rounded_weights(model.proto)
    feeds = [{"data": INPUTS[index:index + 1]} for index in range(len(INPUTS))]
    corrected = correct_biases(model, rounded, feeds)
    assert corrected is not None
    made = _with_rounded_weights(corrected)
    wanted = Session(model.proto).run({"data": INPUTS})[model.outputs[0]].mean(axis=0)
    before, after = (Session(each).run({"data": INPUTS})[model.outputs[0]].mean(axis=0) for each in (rounded, made))
    assert np.abs(after - wanted).max() < np.abs(before - wanted).max() / 5    # windows at the border have another mean
    assert mean_sqnr(model, made, feeds) > mean_sqnr(model, rounded, feeds) + 3


def test_the_mean_of_a_network_of_rounded_weights_is_that_of_the_float_network() -> None:
    for group in (1, 2, CHANNELS):
        _check_mean(group)


def test_quantized_networks_come_no_farther_from_float() -> None:
    """The correction is kept only if it lowers the noise."""
    n = FloatNetwork()
    x = n.node("Relu", [n.conv(n.node("Relu", [n.conv("data")]))])
    quantized = quantize(n.classify(x), Calibration.from_arrays(INPUTS))
    feeds = [{"data": INPUTS[index:index + 1]} for index in range(len(INPUTS))]
    assert mean_sqnr(quantized.prepared.model, quantized.model, feeds) > 35
