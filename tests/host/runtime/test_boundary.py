"""Float inputs and outputs against ONNX Runtime, and inputs that do not fit."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from arrayloom.host.runtime.boundary import collect, device_inputs
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.host_steps import Quantize, Reshape, Transpose, dequantize, quantize, softmax
from arrayloom.isa.layout import Layout
from arrayloom.isa.model_ports import ports_of_inputs
from arrayloom.isa.ports import Input, Slot


def _run(op: str, x: np.ndarray, out_type: int, *constants: np.ndarray) -> np.ndarray:
    names = [f"c{i}" for i in range(len(constants))]
    in_type = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], ["y"])], "g", [helper.make_tensor_value_info("x", in_type, x.shape)],
        [helper.make_tensor_value_info("y", out_type, x.shape)],
        [numpy_helper.from_array(c, n) for c, n in zip(constants, names, strict=True)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("scale", [0.25, 0.0186584499, 1e-3])
def test_quantize_and_dequantize_are_onnx_runtimes(dtype: type, scale: float) -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 40 * scale, 5000), np.arange(-300, 300) * scale / 2]).astype(np.float32)
    constants = np.float32(scale), dtype(7)
    out = TensorProto.UINT8 if dtype is np.uint8 else TensorProto.INT8
    integers = quantize(values, scale, 7, np.dtype(dtype))
    np.testing.assert_array_equal(integers, _run("QuantizeLinear", values, out, *constants))
    np.testing.assert_array_equal(dequantize(integers, scale, 7),
                                  _run("DequantizeLinear", integers, TensorProto.FLOAT, *constants))


def test_softmax_is_near_onnx_runtimes() -> None:
    x = np.random.default_rng(2).normal(0, 5, (3, 10)).astype(np.float32)
    np.testing.assert_allclose(softmax(x, 1), _run("Softmax", x, TensorProto.FLOAT), rtol=1e-6)


def _port(scale: float | None = 0.5) -> Input:
    slot = Slot("data_q", 0, Layout.canonical(4, 1, 2, 3), "uint8")
    return Input("data", (1, 2, 3), slot, None if scale is None else Quantize(scale, 3, "uint8"))


@pytest.mark.parametrize(("inputs", "message"), [
    ({}, "input 'data' is missing; the model takes 'data'"),
    ({"data": np.zeros((1, 1, 2, 3), np.float32), "more": np.zeros(1)}, "input 'more' is unknown"),
    ({"data": np.zeros((1, 2, 3), np.float32)}, r"shape \[1, 2, 3\] given, \[N, 1, 2, 3\] wanted"),
    ({"data": np.zeros((1, 1, 2, 3))}, "dtype float64 given, float32 wanted"),
    ({"data": np.full((1, 1, 2, 3), np.nan, np.float32)}, "NaN or infinity"),
    ({"data": np.zeros((0, 1, 2, 3), np.float32)}, "holds no image"),
])
def test_inputs_that_do_not_fit(inputs: dict, message: str) -> None:
    ports = [_port()]
    with pytest.raises(InputError, match=message):
        device_inputs(collect(inputs, ports_of_inputs(ports)), ports)


def test_integer_input_of_the_wrong_dtype() -> None:
    with pytest.raises(InputError, match="dtype int8 given, uint8 wanted"):
        collect({"data": np.zeros((1, 1, 2, 3), np.int8)}, ports_of_inputs([_port(scale=None)]))


def test_an_input_is_moved_before_it_is_quantized() -> None:
    slot = Slot("data_q", 0, Layout.canonical(4, 3, 2, 4), "uint8")
    port = Input("data", (2, 4, 3), slot, Quantize(0.5, 3, "uint8"), (Transpose((0, 3, 1, 2)), Reshape((3, 8))))
    values = np.arange(48, dtype=np.float32).reshape(2, 2, 4, 3)
    expected = quantize(values.transpose(0, 3, 1, 2).reshape(2, 3, 8), 0.5, 3, np.dtype(np.uint8))
    np.testing.assert_array_equal(device_inputs({"data": values}, [port])["data"], expected)
    with pytest.raises(InputError, match=r"shape \[2, 3, 2, 4\] given, \[N, 2, 4, 3\] wanted"):
        device_inputs({"data": values.transpose(0, 3, 1, 2)}, [port])
