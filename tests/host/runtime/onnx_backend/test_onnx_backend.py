"""ONNX's own node tests on the accelerator, and the rest of the backend interface."""

from collections import Counter

import numpy as np
import onnx
import onnx.backend.test
import pytest
from networks import Network

from arrayloom.compiler.errors import CompileError, UnsupportedError
from arrayloom.host.runtime.onnx_backend import ArrayloomBackend, node_tests, official
from arrayloom.host.runtime.onnx_backend.operands import parameters

PASSING = {
    "add_int8", "add_uint8", "bitshift_left_uint8", "bitshift_right_uint8", "bitwise_not_4d", "bitwise_or_i16_4d",
    "clip_default_int8_inbounds", "clip_default_int8_inbounds_expanded", "clip_default_int8_max", "clip_default_int8_min",
    "dequantizelinear", "div_int8", "div_uint8", "max_int8", "max_uint8", "maxpool_2d_uint8", "min_int8", "min_uint8",
    "mod_mixed_sign_int8", "mod_uint8", "mul_int8", "mul_uint8", "qlinearconv", "qlinearmatmul_2D_int8_float16",
    "qlinearmatmul_2D_int8_float32", "qlinearmatmul_2D_uint8_float16", "qlinearmatmul_2D_uint8_float32",
    "qlinearmatmul_3D_int8_float16", "qlinearmatmul_3D_int8_float32", "qlinearmatmul_3D_uint8_float16",
    "qlinearmatmul_3D_uint8_float32", "quantizelinear", "sub_int8", "sub_uint8",
}
REFRESH = "run: python -m arrayloom.host.runtime.onnx_backend.node_tests"
BLOCKS = 12     # the page's tests, divided among the workers


def _official_tests() -> type:
    """ONNX's test runner with our backend and the tests that the page lists as passing."""
    nodes = onnx.backend.test.BackendTest(ArrayloomBackend, __name__).test_cases["OnnxBackendNodeModelTest"]
    for name in [name for name in vars(nodes) if name.startswith("test_")]:
        if name.removeprefix("test_").removesuffix("_cpu") not in PASSING:
            delattr(nodes, name)
    return nodes


TestNodes = _official_tests()


def _page() -> dict[str, str]:
    """The page's section for each test."""
    found = {}
    for section in node_tests.PATH.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, body = section.split("\n\n", 1)
        names = body.rsplit("\n\n", 1)[-1].replace("\\_", "_").replace("\n", " ").strip()
        found.update({f"test_{name}": title.rsplit(": ", 1)[0] for name in names.split(", ")})
    return found


def _listed(name: str, title: str) -> official.Result:
    reason = title.removeprefix("Refused: ")
    if reason != title:
        return official.Result(name, official.Outcome.REFUSED, reason)
    return official.Result(name, next(outcome for outcome in official.Outcome if outcome.capitalize() == title))


def test_as_many_official_tests_run_as_the_page_says() -> None:
    kept = [name for name in vars(TestNodes) if name.startswith("test_")]
    assert {name.removeprefix("test_").removesuffix("_cpu") for name in kept} == PASSING
    exact = {name for name, title in _page().items() if title == official.Outcome.EXACT.capitalize()}
    assert {name.removeprefix("test_") for name in exact} == PASSING


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_page_says_what_becomes_of_each_test(block: int) -> None:
    page, names = _page(), official.names()
    assert page.keys() == set(names), REFRESH
    results = [official.run(name) for name in names[block::BLOCKS]]
    assert {result.name: node_tests.title(result) for result in results} == {
        result.name: page[result.name] for result in results}, REFRESH


def test_the_page_counts_what_it_lists() -> None:
    page = _page()
    results = [_listed(name, page[name]) for name in official.names()]
    assert node_tests.text(results) == node_tests.PATH.read_text(encoding="utf-8"), REFRESH
    counts = Counter(result.outcome for result in results)
    assert counts[official.Outcome.DIFFERENT] == 0
    assert counts[official.Outcome.ACCELERATOR] >= 270
    assert counts[official.Outcome.TAIL] >= 190


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


def test_a_model_without_a_batch_gets_one() -> None:
    """Two independent matrix products, whose first dimension is their own."""
    net = Network(21)
    a = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    weight = np.array([[[1], [2], [3]], [[4], [5], [6]]], np.uint8)
    one, zero = net.constant(np.float32(1)), net.constant(np.uint8(0))
    net.node("QLinearMatMul", ["a", one, zero, net.constant(weight), one, zero, one, zero], "y")
    prepared = ArrayloomBackend.prepare(net.model({"a": (np.uint8, [2, 2, 3])}, ["y"]), config="tiny")
    assert np.array_equal(prepared.run([a])[0], a.astype(int) @ weight)


def test_what_cannot_run_is_refused() -> None:
    net = Network()
    net.node("Compress", ["x", net.constant([True, False])], "y", axis=1)
    model = net.model({"x": (np.uint8, ["N", 2, 3, 3])}, ["y"])
    assert not ArrayloomBackend.is_compatible(model, config="tiny")
    with pytest.raises(UnsupportedError, match="Compress 'Compress_y'"):
        ArrayloomBackend.prepare(model, config="tiny")
    with pytest.raises(CompileError, match="device 'CUDA': unknown; known are CPU, RTL"):
        ArrayloomBackend.prepare(model, "CUDA")
    assert not ArrayloomBackend.supports_device("CUDA:0")
    assert ArrayloomBackend.supports_device("CPU")
