"""ONNX's own node tests on the accelerator, and the rest of the backend's interface."""

import numpy as np
import onnx
import onnx.backend.test
import pytest
from networks import Network

from arrayloom.compiler.errors import CompileError, UnsupportedError
from arrayloom.host.runtime.onnx_backend import ArrayloomBackend, node_tests
from arrayloom.host.runtime.onnx_backend.backend import parameters

PASSING = {
    "clip_default_int8_inbounds", "clip_default_int8_inbounds_expanded", "clip_default_int8_max", "clip_default_int8_min",
    "dequantizelinear", "maxpool_2d_uint8", "qlinearconv", "qlinearmatmul_2D_int8_float32",
    "qlinearmatmul_2D_uint8_float32", "quantizelinear",
}


def _official_tests() -> type:
    """ONNX's test runner with our backend; of its tests those that the page says pass."""
    nodes = onnx.backend.test.BackendTest(ArrayloomBackend, __name__).test_cases["OnnxBackendNodeModelTest"]
    for name in [name for name in vars(nodes) if name.startswith("test_")]:
        if name.removeprefix("test_").removesuffix("_cpu") not in PASSING:
            delattr(nodes, name)
    return nodes


TestNodes = _official_tests()


def test_as_many_official_tests_run_as_the_page_says() -> None:
    kept = [name for name in vars(TestNodes) if name.startswith("test_")]
    assert {name.removeprefix("test_").removesuffix("_cpu") for name in kept} == PASSING


def test_the_page_of_node_tests_is_fresh() -> None:
    """It also compares the results of the passing ones byte for byte."""
    results = node_tests.survey()
    assert {name.removeprefix("test_") for name in results[node_tests.PASSED]} == PASSING
    assert "gives other bytes" not in results
    assert node_tests.PATH.read_text(encoding="utf-8") == node_tests.text(), \
        "run: python -m arrayloom.host.runtime.onnx_backend.node_tests"


def _convolution(weight: np.ndarray) -> onnx.NodeProto:
    names = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"]
    return onnx.helper.make_node("QLinearConv", names, ["y"], kernel_shape=list(weight.shape[2:]))


def _operands(weight: np.ndarray) -> list[np.ndarray]:
    image = np.arange(18, dtype=np.uint8).reshape(1, 2, 3, 3)
    scale, zero = np.float32(0.5), np.uint8(3)
    return [image, scale, zero, weight, np.float32(0.5), np.int8(0), np.float32(0.5), zero]


def test_one_node_and_weights_given_at_the_run() -> None:
    weight = np.array([1, -1, 2, 0, 3, 1, 0, 0], np.int8).reshape(1, 2, 2, 2)
    (result,) = ArrayloomBackend.run_node(_convolution(weight), _operands(weight), config="tiny")
    image = _operands(weight)[0].astype(np.int32) - 3
    sums = [(image[0, :, i:i + 2, j:j + 2] * weight[0]).sum() for i in range(2) for j in range(2)]
    assert result.ravel().tolist() == [int(np.rint(0.5 * total)) + 3 for total in sums]


def test_other_weights_compile_anew() -> None:
    weight = np.ones((1, 2, 1, 1), np.int8)
    operands = _operands(weight)
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
              for name, value in zip(_convolution(weight).input, operands, strict=True)]
    graph = onnx.helper.make_graph([_convolution(weight)], "g", inputs, [onnx.ValueInfoProto(name="y")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    assert parameters(model) == list(_convolution(weight).input)[1:]
    prepared = ArrayloomBackend.prepare(model, config="tiny")
    first = prepared.run(operands)[0]
    again = prepared.run(operands)[0]
    other = prepared.run([*operands[:3], 2 * weight, *operands[4:]])[0]
    sums = (operands[0].astype(int) - 3).sum(axis=1, keepdims=True)
    assert np.array_equal(first, np.rint(sums * 0.5) + 3)
    assert np.array_equal(again, first)
    assert np.array_equal(other, sums + 3)


def test_what_cannot_run_is_refused() -> None:
    net = Network()
    net.node("Sign", ["x"], "y")
    model = net.model({"x": (np.uint8, ["N", 2, 3, 3])}, ["y"])
    assert not ArrayloomBackend.is_compatible(model, config="tiny")
    with pytest.raises(UnsupportedError, match="Sign 'Sign_y'"):
        ArrayloomBackend.prepare(model, config="tiny")
    with pytest.raises(CompileError, match="device 'CUDA': unknown; known are CPU, RTL"):
        ArrayloomBackend.prepare(model, "CUDA")
    assert not ArrayloomBackend.supports_device("CUDA:0")
    assert ArrayloomBackend.supports_device("CPU")
