"""Single operators in QOperator form, before and after a convolution: every tensor equals ONNX Runtime's."""

from collections.abc import Callable, Iterable

import numpy as np
import onnx
import pytest
from networks import Array, Network
from verification import assert_exact, random_values

from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.config import PRESETS, Config

CHANNELS, HEIGHT, WIDTH = 6, 5, 7
BYTES = {"x": (np.uint8, ["N", CHANNELS, HEIGHT, WIDTH])}
CRAMPED = Config(name="cramped", size=4, lanes=2, column_stage=2, row_stage=2, accumulator_depth=16,
                 activation_bytes=1024, weight_words=32, parameter_entries=256)

Build = Callable[[Network, str], str]


def _pair(net: Network, scale: float, zero: int, dtype: type = np.uint8) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.array(zero, dtype))]


def _indices(net: Network, *values: int) -> str:
    return net.constant(np.array(values, np.int64))


def _convolution(net: Network, x: str, channels: int = CHANNELS, kernel: int = 1, group: int = 1, **more: object) -> str:
    rng = np.random.default_rng(channels + kernel)
    weight = net.constant(rng.integers(-127, 128, (channels, CHANNELS // group, kernel, kernel)).astype(np.int8))
    operands = [x, *_pair(net, 0.02, 100), weight, *_pair(net, 0.01 / kernel, 0, np.int8), *_pair(net, 0.05, 113)]
    return net.node("QLinearConv", operands, group=group, **more)


def _mean(net: Network, x: str) -> str:
    return net.node("QLinearGlobalAveragePool", [x, *_pair(net, 0.02, 100), *_pair(net, 0.005, 100)])


def _binary(net: Network, operator: str, a: str, b: str, made: float = 0.07) -> str:
    return net.node(operator, [a, *_pair(net, 0.05, 113), b, *_pair(net, 0.02, 100), *_pair(net, made, 77)])


def _column(net: Network, x: str) -> str:
    return net.node("Slice", [x, *(_indices(net, value) for value in (2, 3, 3))])


def _inserted(net: Network, x: str) -> str:
    apart = net.node("Reshape", [x, _indices(net, 0, CHANNELS, HEIGHT, 1, WIDTH, 1)])
    padded = net.node("Pad", [apart, _indices(net, *[0] * 9, 1, 0, 2), net.constant(np.uint8(100))])
    joined = net.node("Reshape", [padded, _indices(net, 0, CHANNELS, 2 * HEIGHT, 3 * WIDTH)])
    return net.node("Slice", [joined, _indices(net, 1, 0), _indices(net, 9, 19), _indices(net, 2, 3)])


def _shuffled(net: Network, x: str) -> str:
    grouped = net.node("Reshape", [x, _indices(net, 0, 2, 3, HEIGHT, WIDTH)])
    return net.node("Reshape", [net.node("Transpose", [grouped], perm=[0, 2, 1, 3, 4]),
                                _indices(net, 0, CHANNELS, HEIGHT, WIDTH)])


def _resized(net: Network, x: str, *scales: float) -> str:
    return net.node("Resize", [x, "", net.constant(np.array([1, 1, *scales], np.float32))], mode="nearest")


def _sliced(net: Network, x: str, start: int, end: int, axis: int, step: int) -> str:
    return net.node("Slice", [x, *(_indices(net, value) for value in (start, end, axis, step))])


def _constant(net: Network, *shape: int) -> str:
    return net.constant((np.arange(np.prod(shape)) * 40 + 7).astype(np.uint8).reshape(shape))


OPERATORS: dict[str, Build] = {
    "product": lambda net, x: _binary(net, "QLinearMul", _convolution(net, x), x),
    "square": lambda net, x: _binary(net, "QLinearMul", x, x),
    "gate": lambda net, x: _binary(net, "QLinearMul", x, _convolution(net, _mean(net, x))),
    "gate first": lambda net, x: _binary(net, "QLinearMul", _convolution(net, _mean(net, x)), x),
    "map": lambda net, x: _binary(net, "QLinearMul", x, _convolution(net, x, channels=1)),
    "channel sum": lambda net, x: _binary(net, "QLinearAdd", x, _mean(net, x)),
    "channel sum first": lambda net, x: _binary(net, "QLinearAdd", _mean(net, x), x),
    "map sum first": lambda net, x: _binary(net, "QLinearAdd", _convolution(net, x, channels=1), x),
    "column sum first": lambda net, x: _binary(net, "QLinearAdd", _column(net, x), x),
    "constant product": lambda net, x: _binary(net, "QLinearMul", x, _constant(net, CHANNELS, 1, 1), 0.007),
    "constant sum first": lambda net, x: _binary(net, "QLinearAdd", _constant(net, 1, CHANNELS, 1, 1), x),
    "scalar sum": lambda net, x: _binary(net, "QLinearAdd", x, _constant(net)),
    "enlarged": lambda net, x: _resized(net, x, 2, 3),
    "reduced": lambda net, x: _resized(net, x, 0.5, 0.4),
    "expanded": lambda net, x: net.node("Expand", [_mean(net, x), _indices(net, 1, CHANNELS, HEIGHT, WIDTH)]),
    "tiled": lambda net, x: net.node("Tile", [x, _indices(net, 1, 1, 2, 3)]),
    "zeros inserted": _inserted,
    "channels shuffled": _shuffled,
    "rows reversed": lambda net, x: _sliced(net, x, -1, -100, 2, -1),
    "columns reversed": lambda net, x: _sliced(net, x, -1, -100, 3, -1),
    "rows for columns": lambda net, x: net.node("Transpose", [x], perm=[0, 1, 3, 2]),
    "rows chosen": lambda net, x: net.node("Gather", [x, _indices(net, 3, 3, 0, 1, 2, 2, 4)], axis=2),
    "columns chosen": lambda net, x: net.node("Gather", [x, _indices(net, 3, 3, 0, 1, 2, 2, 4)], axis=3),
    "depthwise": lambda net, x: _convolution(net, x, kernel=3, group=CHANNELS, pads=[1, 1, 1, 1]),
    "grouped, dilated": lambda net, x: _convolution(net, x, kernel=3, group=2, pads=[2] * 4, dilations=[2, 2]),
}


def _model(operator: str) -> onnx.ModelProto:
    net = Network(opset=17)
    result = OPERATORS[operator](net, "x")
    return net.model(BYTES, [_convolution(net, result, channels=5)])


@pytest.mark.parametrize("config", ["tiny", "16x16", CRAMPED], ids=["tiny", "16x16", "cramped"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_on_the_emulator(operator: str, config: str | Config) -> None:
    assert_exact(_model(operator), config)


@pytest.fixture(scope="module")
def rtl() -> Iterable[Device]:
    device = open_device("rtl", PRESETS["tiny"])
    yield device
    device.close()


def test_operators_on_the_rtl(rtl: Device) -> None:
    for operator in OPERATORS:
        assert_exact(_model(operator), "tiny", rtl)


def _single(operator: str) -> onnx.ModelProto:
    net = Network(opset=17)
    operands = [name for value in ("a", "b") for name in (value, *_pair(net, 0.31, 11))]
    y = net.node(operator, [*operands, *_pair(net, 0.37, 5)])
    return net.model({name: (np.uint8, ["N", 1, 1, 1]) for name in ("a", "b")}, [y])


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_single_elements_are_taken_as_scalars(operator: str) -> None:
    """ONNX Runtime swaps the operands of such an addition, which changes the float32 roundings."""
    model = _single(operator)
    rng = np.random.default_rng(0)
    for a, b in rng.integers(0, 256, (30, 2)).astype(np.uint8):
        assert_exact(model, "tiny", inputs={"a": a.reshape(1, 1, 1, 1), "b": b.reshape(1, 1, 1, 1)})


def test_the_host_moves_what_only_the_outputs_need() -> None:
    net = Network(opset=17)
    y = _convolution(net, "x", channels=8)
    moved = net.node("Transpose", [y], perm=[0, 2, 3, 1])
    real = net.dequantize(net.node("Reshape", [moved, _indices(net, 0, HEIGHT, WIDTH, 2, 4)]), 0.05, 113)
    later = net.node("Transpose", [net.dequantize(y, 0.05, 113)], perm=[0, 2, 3, 1])
    model = net.model(BYTES, [moved, real, later])
    _, verdict = assert_exact(model)
    expected = Reference(model).run(random_values(import_model(model).graph))
    assert {name: value.tolist() for name, value in verdict.outputs.items()} == {
        name: value.tolist() for name, value in expected.items()}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_softmax_of_bytes_on_the_host(dtype: type) -> None:
    net = Network(opset=17)
    low = np.iinfo(dtype).min
    y = net.node("QLinearSoftmax", ["x", *_pair(net, 0.05, low + 3, dtype), *_pair(net, 1 / 256, low, dtype)],
                 domain="com.microsoft", axis=-1, opset=13)
    model = net.model({"x": (dtype, ["N", 300])}, [net.node("QLinearSigmoid", ["x", *_pair(net, 0.05, low, dtype),
                                                                               *_pair(net, 1 / 256, low, dtype)]), y])
    _, verdict = assert_exact(model)
    expected: dict[str, Array] = Reference(model).run(random_values(import_model(model).graph))
    assert np.array_equal(verdict.outputs[y], expected[y])


@pytest.mark.parametrize("second", ["x", "y"])
def test_products_with_scales_beyond_the_lanes_are_exact(second: str) -> None:
    net = Network()
    y = net.node("QLinearMul", ["x", *_pair(net, 1.5, 3), second, *_pair(net, 1.0, 3), *_pair(net, 1.0, 3)])
    assert_exact(net.model(dict.fromkeys(dict.fromkeys(("x", second)), BYTES["x"]), [y]))
