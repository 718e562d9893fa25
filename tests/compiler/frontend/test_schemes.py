"""Models with an unsupported quantization scheme are refused as such, before ONNX Runtime reads them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from onnx import TensorProto, helper

from arrayloom.compiler.errors import ModelError, Unsupported, UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.schemes import is_quantized

FLOATS = (np.float32, ["N", 4, 6, 6])
COMMAND = "arrayloom quantize FLOAT.onnx --calibrate DIR --preprocess NAME -o OUT.onnx"


def _refused(model: onnx.ModelProto) -> tuple[str, list[Unsupported]]:
    with pytest.raises(UnsupportedError) as caught:
        import_model(model)
    return str(caught.value), list(caught.value.nodes)


def _typed(name: str, kind: int, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, kind, [len(values)] if len(values) > 1 else [], values)


def _pair_of(kind: int, opset: int = 21) -> onnx.ModelProto:
    """QuantizeLinear, DequantizeLinear, Relu, then the pair again, all with one integer type."""
    net = Network(opset=opset)
    scale, value = net.constant(np.float32(0.5)), "x"
    for index in range(2):
        value = net.node("QuantizeLinear", [value, scale, "zero"], f"q{index}")
        value = net.node("DequantizeLinear", [value, scale, "zero"], f"d{index}")
        value = net.node("Relu", [value], f"r{index}")
    model = net.model({"x": FLOATS}, ["r1"])
    model.graph.initializer.append(_typed("zero", kind, [0]))
    return model


def _dynamic() -> onnx.ModelProto:
    net = Network()
    net.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"], "first"))
    net.node("ConvInteger", ["xq", net.constant(np.ones((2, 4, 1, 1), np.uint8)), "xz"], "sums")
    net.node("Mul", [net.node("Cast", ["sums"], to=TensorProto.FLOAT), "xs"], "y")
    return net.model({"x": FLOATS}, ["y"])


def _custom(operator: str, domain: str, **attributes: Any) -> onnx.ModelProto:
    net = Network()
    made = net.node(operator, ["x", net.constant(np.float32(0.5)), net.constant(np.float32(0)), net.constant(np.float32(8))],
                    "made", domain=domain, **attributes)
    net.node("Relu", [made], "y")
    model = net.model({"x": FLOATS}, ["y"])
    model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


def _blocks() -> onnx.ModelProto:
    net = Network(opset=21)
    weight, zero = net.constant(np.ones((4, 8), np.int8)), net.constant(np.zeros((2, 8), np.int8))
    made = net.node("DequantizeLinear", [weight, net.constant(np.ones((2, 8), np.float32)), zero], "w", block_size=2, axis=0)
    pair = net.dequantize(net.quantize("x", 0.5, 3), 0.5, 3)
    net.node("MatMul", [pair, made], "y")
    return net.model({"x": (np.float32, ["N", 4])}, ["y"])


def _four_bits_in_blocks() -> onnx.ModelProto:
    net = Network()
    packed, scales = net.constant(np.ones((8, 1, 8), np.uint8)), net.constant(np.ones(8, np.float32))
    net.node("MatMulNBits", ["x", packed, scales], "y", domain="com.microsoft", K=16, N=8, bits=4, block_size=16)
    return net.model({"x": (np.float32, ["N", 16])}, ["y"])


def _weights_only() -> onnx.ModelProto:
    net = Network()
    weight = net.constant(np.ones((2, 4, 1, 1), np.int8))
    real = net.node("DequantizeLinear", [weight, net.constant(np.float32(0.1))], "w")
    net.node("Conv", ["x", real], "y")
    return net.model({"x": FLOATS}, ["y"])


def _weights_quantized_in_the_model() -> onnx.ModelProto:
    net = Network()
    real = net.dequantize(net.quantize(net.constant(np.ones((2, 4, 1, 1), np.float32)), 0.1, 0, np.int8), 0.1, 0, np.int8)
    net.node("Conv", ["x", real], "y")
    return net.model({"x": FLOATS}, ["y"])


Build = Callable[[], onnx.ModelProto]
QCDQ = "brevitas.export.export_onnx_qcdq("
TABLE: list[tuple[str, Build, list[str], str, str, str]] = [
    # build, nodes, origin, reason, remedy
    ("dynamic", _dynamic, ["first", "ConvInteger_sums"], "is dynamically quantized: its scales are computed at run time",
     "its scales are computed at run time", COMMAND),
    *((f"16 bits, {kind}", lambda kind=kind: _pair_of(kind),  # type: ignore[misc]
       ["QuantizeLinear_q0", "DequantizeLinear_d0", "QuantizeLinear_q1", "DequantizeLinear_d1"],
       "is quantized to a type other than int8 and uint8", f"type {TensorProto.DataType.Name(kind).lower()}: ", COMMAND)
      for kind in (TensorProto.UINT16, TensorProto.INT16, TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT8E4M3FN)),
    ("blocks", _blocks, ["DequantizeLinear_w"], "is quantized in blocks", "block_size = 2: quantized in blocks", COMMAND),
    ("packed", _four_bits_in_blocks, ["MatMulNBits_y"], "is quantized in blocks", "quantized in blocks", COMMAND),
    *((f"qonnx {operator}", lambda operator=operator, domain=domain: _custom(operator, domain),  # type: ignore[misc]
       [f"{operator}_made"], "holds operators of QONNX", "an operator of QONNX", QCDQ)
      for operator, domain in (("Quant", "qonnx.custom_op.general"), ("BipolarQuant", "onnx.brevitas"),
                               ("Trunc", "qonnx.custom_op.general"), ("IntQuant", "qonnx.custom_op.general"))),
    ("tensorrt", lambda: _custom("TRT_FP8QuantizeLinear", "trt"), ["TRT_FP8QuantizeLinear_made"],
     "holds TensorRT's own quantization", "an operator of TensorRT", "--quantize_mode int8"),
    ("pictures", lambda: _custom("DecodeImage", "ai.onnx.contrib"), ["DecodeImage_made"],
     "holds pre- or post-processing of pictures", "it decodes or draws pictures", "--preprocess NAME"),
    ("extensions", lambda: _custom("BpeTokenizer", "com.microsoft.extensions"), ["BpeTokenizer_made"],
     "holds pre- or post-processing", "onnxruntime-extensions", "onnx.utils.extract_model"),
    ("imitated", lambda: _custom("FakeQuantize", "org.openvinotoolkit"), ["FakeQuantize_made"],
     "holds operators that imitate quantization", "imitates quantization", COMMAND),
    ("weights only", _weights_only, ["DequantizeLinear_w"], "has quantized weights only",
     "only constants are quantized", COMMAND),
    ("weights quantized inside", _weights_quantized_in_the_model, ["DequantizeLinear_dequantizelinear_1_5"],
     "has quantized weights only", "only constants are quantized", COMMAND),
]


@pytest.mark.parametrize(("build", "nodes", "model", "reason", "remedy"), [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])
def test_named_as_such(build: Build, nodes: list[str], model: str, reason: str, remedy: str) -> None:
    text, found = _refused(build())
    assert text.startswith(f"the model {model}")
    assert [entry.node for entry in found] == nodes
    assert all(reason in entry.to_json()["reason"] and remedy in entry.remedy for entry in found)
    assert is_quantized(build()) == ("processing" not in model)


def test_two_schemes_stand_in_one_report() -> None:
    model = _pair_of(TensorProto.UINT16)
    model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["r1"], ["a", "b", "c"], "late"))
    text, found = _refused(model)
    assert "dynamically quantized" in text.splitlines()[0]
    assert "a type other than int8" in text.splitlines()[1]
    assert {entry.node for entry in found} >= {"late", "QuantizeLinear_q0"}


def test_hundreds_of_nodes_are_all_in_the_error_and_some_in_its_text() -> None:
    net = Network()
    value = "x"
    for index in range(150):
        value = net.node("Quant", [value], f"v{index}", domain="qonnx.custom_op.general")
    text, found = _refused(net.model({"x": FLOATS}, [value]))
    assert len(found) == 150
    assert text.splitlines()[-1] == "  and 130 more, which --json lists"
    assert len(text.splitlines()) == 23


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_float_networks_are_float_whatever_they_take(dtype: Any) -> None:
    """A network that casts its bytes, as in exported preprocessing, is not quantized."""
    net = Network()
    real = net.node("Cast", ["x"], to=TensorProto.FLOAT)
    weight = net.constant(np.ones((2, 4, 1, 1), np.float32))
    net.node("Conv", [net.node("Div", [real, net.constant(np.float32(255))]), weight], "y")
    model = net.model({"x": (dtype, ["N", 4, 6, 6])}, ["y"])
    assert not is_quantized(model)
    with pytest.raises(ModelError, match=f"is a float model: none of its 3 nodes .*; quantize it first: {COMMAND}"):
        import_model(model)


def test_movement_of_bytes_needs_no_scales() -> None:
    net = Network()
    net.node("MaxPool", ["x"], "y", kernel_shape=[2, 2])
    model = net.model({"x": (np.uint8, ["N", 4, 6, 6])}, ["y"])
    assert is_quantized(model)
    assert len(import_model(model).graph.ops) == 1


def test_an_int32_bias_and_8_bits_are_no_scheme_of_their_own() -> None:
    net = Network()
    weight = net.dequantize(net.constant(np.ones((2, 4, 1, 1), np.int8)), 0.25, 0, np.int8)
    bias = net.node("DequantizeLinear", [net.constant(np.ones(2, np.int32)), net.constant(np.float32(0.125))])
    net.quantize(net.node("Conv", [net.dequantize("x", 0.5, 3), weight, bias]), 0.5, 3, output="y")
    assert import_model(net.model({"x": (np.uint8, ["N", 4, 6, 6])}, ["y"])).graph.ops
