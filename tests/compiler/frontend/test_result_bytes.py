"""The values that output bytes stand for, by the node that made them."""

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler.frontend import import_model
from arrayloom.isa.host_steps import Quantize


def _classifier(net: Network) -> str:
    """The float mean of each of three channels."""
    net.quantize("x", 0.02, 128, output="bytes")
    return net.node("GlobalAveragePool", [net.dequantize("bytes", 0.02, 128)])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_bytes_of_a_quantizer_that_are_moved_afterwards(dtype: type[np.generic]) -> None:
    net = Network(opset=17)
    net.node("Flatten", [net.quantize(_classifier(net), 0.05, -3 if dtype is np.int8 else 120, dtype)], "y")
    (port,) = import_model(net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"])).graph.model_outputs
    assert port.dtype == np.dtype(dtype).name
    assert port.encoding == Quantize(float(np.float32(0.05)), -3 if dtype is np.int8 else 120, np.dtype(dtype).name)


def test_bytes_of_an_integer_operator() -> None:
    constants = {"s": np.float32(0.02), "z": np.uint8(128), "t": np.float32(0.04), "u": np.uint8(7)}
    node = onnx.helper.make_node("QLinearGlobalAveragePool", ["x", "s", "z", "t", "u"], ["y"], domain="com.microsoft",
                                 channels_last=0)
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape)
             for name, shape in (("x", ["N", 3, 8, 8]), ("y", ["N", 3, 1, 1]))]
    graph = onnx.helper.make_graph([node], "g", infos[:1], infos[1:],
                                   [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13),
                                                                       onnx.helper.make_opsetid("com.microsoft", 1)])
    (port,) = import_model(model).graph.model_outputs
    assert port.encoding == Quantize(float(np.float32(0.04)), 7, "uint8")


def test_floats_have_no_encoding() -> None:
    net = Network(opset=17)
    quantized = net.quantize(_classifier(net), 0.05, 120)
    net.node("DequantizeLinear", [quantized, net.constant(np.float32(0.05)), net.constant(np.uint8(120))], "y")
    (port,) = import_model(net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"])).graph.model_outputs
    assert port.encoding is None
