"""Linear interpolation inside a network: exact integer sums, compared with ONNX Runtime's float and integer kernels."""

from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.interpolation import LARGEST, find_axis
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.graph import Conv, Move

Array = NDArray[Any]
SHAPE = (3, 6, 8)


def _model(operands: list[Array | None], dtype: Any = np.uint8, opset: int = 17, **attributes: Any) -> onnx.ModelProto:
    net = Network(opset=opset)
    names = ["" if operand is None else net.constant(operand) for operand in operands]
    resized = net.node("Resize", [net.dequantize("x", 0.05, 4, dtype), *names], mode="linear", **attributes)
    net.quantize(resized, 0.05, 4, dtype, output="y")
    return net.model({"x": (dtype, [1, *SHAPE])}, ["y"])


def _scales(*factors: float) -> list[Array | None]:
    return [None, np.array([1, 1, *factors], np.float32)]


def _sizes(*sizes: int) -> list[Array | None]:
    return [None, None, np.array([1, 3, *sizes])]


def _difference(model: onnx.ModelProto) -> int:
    """The largest difference of the lowered from the float model, in steps; the graph must equal the lowered model."""
    imported = import_model(model)
    check(imported)
    shape, dtype = (1, *SHAPE), imported.graph.inputs[0].dtype
    x = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8).view(dtype)
    expected = Session(model, optimize=False).run({"x": x})["y"]
    made = Session(imported.lowered).run({"x": x})["y"]
    return int(np.abs(expected.astype(int) - made).max())


MODES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
OPERANDS = {
    "twice": _scales(2, 2), "thrice": _scales(3, 3), "four and two": _scales(4, 2), "eight times": _scales(8, 8),
    "half": _scales(0.5, 0.5), "one and a half": _scales(1.5, 2), "to sizes": _sizes(9, 20), "to one": _sizes(1, 1),
    "one axis": _sizes(6, 16),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS.keys())
def test_interpolation_is_exact_but_for_float_rounding(mode: str, operands: list[Array | None]) -> None:
    """Sums halfway between two bytes may be rounded differently in float."""
    model = _model(operands, coordinate_transformation_mode=mode)
    assert _difference(model) <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_weights_that_are_exact_in_float_give_the_same_bytes(dtype: Any) -> None:
    net = Network(opset=17)
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    resized = net.node("Resize", [net.dequantize("x", 0.0625, 4, dtype), "", scales], mode="linear")
    net.quantize(net.node("Relu", [resized]), 0.0625, 4, dtype, output="y")
    assert _difference(net.model({"x": (dtype, ["N", *SHAPE])}, ["y"])) == 0


@pytest.mark.parametrize("opset", [10, 11, 13, 19])
def test_every_operator_set(opset: int) -> None:
    operands = _scales(2, 2)
    if opset == 10:
        del operands[0]
    elif opset == 11:
        operands[0] = np.zeros(0, np.float32)
    assert _difference(_model(operands, opset=opset)) <= 1


def test_large_denominators_are_rounded_with_a_note() -> None:
    model = _model(_sizes(150, 8), coordinate_transformation_mode="align_corners")
    notes = import_model(model).graph.notes
    assert any("'Resize_resize_" in note and "which rounds them by up to" in note for note in notes)
    assert _difference(model) <= 3


@pytest.mark.parametrize(("extent", "results"), [(5, 10), (7, 13), (4, 61), (33, 12), (16, 128)])
def test_any_weights_are_reached_by_small_kernels(extent: int, results: int) -> None:
    places = np.linspace(0, extent - 1, results)
    below = np.minimum(places.astype(int), extent - 2)
    weights = np.zeros((results, extent), np.float32)
    weights[np.arange(results), below] = 1 - (places - below)
    weights[np.arange(results), below + 1] += (places - below).astype(np.float32)
    axis = find_axis(weights)
    assert axis.kernel.max() <= LARGEST
    assert np.abs(axis.weights(extent) / axis.parts - weights).max() <= axis.error + 1e-9
    assert axis.error <= 1 / 37


def _of_integers(dtype: Any, factors: tuple[float, float], mode: str) -> onnx.ModelProto:
    net = Network(opset=17)
    scales = net.constant(np.array([1, 1, *factors], np.float32))
    resized = net.node("Resize", ["x", "", scales], mode="linear", coordinate_transformation_mode=mode)
    net.node("MaxPool", [resized], "y", kernel_shape=[2, 2])
    return net.model({"x": (dtype, ["N", *SHAPE])}, ["y"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("factors", [(2, 2), (4, 2), (8, 8), (1, 2), (0.5, 0.5), (1.5, 2)])
@pytest.mark.parametrize("mode", ["half_pixel", "asymmetric"])
def test_integers_are_cut_off_as_by_onnxruntime(dtype: Any, factors: tuple[float, float], mode: str) -> None:
    """The user's own model is equal, not only its lowered form; 1.5 is refused."""
    model = _of_integers(dtype, factors, mode)
    if factors[0] == 1.5:
        with pytest.raises(UnsupportedError, match="with weights that are rounded in float"):
            import_model(model)
        return
    imported = import_model(model)
    check(imported)
    x = np.random.default_rng(2).integers(0, 256, (1, *SHAPE)).astype(np.uint8).view(dtype)
    given, made = (Session(proto).run({"x": x})["y"] for proto in (model, imported.lowered))
    assert np.array_equal(given, made)


def test_one_dimension() -> None:
    net = Network(opset=17)
    scales = net.constant(np.array([1, 1, 2], np.float32))
    resized = net.node("Resize", [net.dequantize("x", 0.0625, 4), "", scales], mode="linear")
    net.quantize(resized, 0.0625, 4, output="y")
    graph = check(import_model(net.model({"x": (np.uint8, [1, 5, 9])}, ["y"])))
    assert [type(op) for op in graph.ops] == [Move, Conv]


def test_after_an_operator_without_quantizer_between() -> None:
    """A float sum would be interpolated before it is rounded: refused, with both nodes named."""
    net = Network(opset=17)
    weight = net.constant(np.ones((3, 3, 1, 1), np.int8))
    real = net.node("DequantizeLinear", [weight, net.constant(np.float32(0.1)), net.constant(np.int8(0))])
    made = net.node("Conv", [net.dequantize("x", 0.05, 4), real], "made")
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    net.quantize(net.node("Resize", [made, "", scales], "larger", mode="linear"), 0.1, 4, output="y")
    model = net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y"])
    with pytest.raises(UnsupportedError, match="Conv 'Conv_made': its result 'made' is not quantized before Resize"):
        import_model(model, ImportOptions(HostPolicy.NONE))
