"""Activations with a scale per channel: folded into the weights before and after them, or into tables."""

from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import equal_values
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.runtime import Session, with_outputs
from arrayloom.compiler.graph import Conv, Graph, Lookup

Array = NDArray[Any]

CHANNELS = 6
X_SCALE, W_SCALE, Y_SCALE = 2.0**-4, 2.0**-6, 2.0**-3

#: Powers of two: folding them is exact, and float32 computes every layer here exactly.
EVEN = 2.0 ** np.array([-5, -3, -4, -5, -2, -4])

#: Scales as a calibration computes them.
ODD = np.array([0.031, 0.0471, 0.0512, 0.0293, 0.06, 0.0444])


class PerChannel(Network):
    """x -> Conv -> values quantized per channel -> ..., on uint8 [N, 4, 6, 6]."""

    def __init__(self, steps: Array, zero_point: int = 0, dtype: Any = np.uint8) -> None:
        super().__init__(opset=13)
        self.steps = [self.constant(steps.astype(np.float32)), self.constant(np.full(steps.shape, zero_point, dtype))]
        self.real = self.dequantize("x", X_SCALE, 3)

    def weight(self, *shape: int, per_channel: bool = False) -> str:
        """A dequantized int8 weight."""
        values = np.random.default_rng(shape).integers(-20, 21, shape).astype(np.int8)
        if not per_channel:
            return self.dequantize(self.constant(values), W_SCALE, 0, np.int8)
        scale = W_SCALE * 2.0 ** np.random.default_rng(3).integers(-1, 2, shape[0])
        parameters = [self.constant(scale.astype(np.float32)), self.constant(np.zeros(shape[0], np.int8))]
        return self.node("DequantizeLinear", [self.constant(values), *parameters], axis=0)

    def bias(self, count: int) -> str:
        """A float bias whose values are multiples of every bias scale here."""
        return self.constant(np.random.default_rng(count).integers(-20, 20, count).astype(np.float32) * np.float32(0.125))

    def convolution(self, *, bias: bool = True, per_channel: bool = True) -> str:
        """The first convolution."""
        operands = [self.real, self.weight(CHANNELS, 4, 3, 3, per_channel=per_channel)]
        return self.node("Conv", [*operands, self.bias(CHANNELS)] if bias else operands, pads=[1, 1, 1, 1])

    def pair(self, real: str) -> str:
        """A value quantized per channel, as `steps`, and dequantized."""
        integer = self.node("QuantizeLinear", [real, *self.steps], "steps", axis=1)
        return self.node("DequantizeLinear", [integer, *self.steps], axis=1)

    def depthwise(self, real: str, multiplier: int = 1, *, per_channel: bool = True) -> str:
        """A depthwise convolution."""
        weight = self.weight(multiplier * CHANNELS, 1, 3, 3, per_channel=per_channel)
        return self.node("Conv", [real, weight, self.bias(multiplier * CHANNELS)], group=CHANNELS)

    def finish(self, real: str) -> onnx.ModelProto:
        """The model with a value, quantized, as its output."""
        self.quantize(real, Y_SCALE, 7, output="y")
        return self.model({"x": (np.uint8, ["N", 4, 6, 6])}, ["y"])


def _compare(model: onnx.ModelProto) -> tuple[Graph, dict[str, Array], dict[str, Array]]:
    """The graph, checked against its lowered model; and the integers of the original and the lowered model."""
    graph = import_model(model).graph
    image = {"x": np.random.default_rng(0).integers(0, 256, (1, 4, 6, 6)).astype(np.uint8)}
    expected = equal_values(graph, image)
    original = Session(with_outputs(model, ["steps"] if "steps" in expected else []), optimize=False).run(image)
    return graph, original, expected


def _assert_equal(model: onnx.ModelProto) -> Graph:
    graph, original, expected = _compare(model)
    assert len(np.unique(original["y"])) > 10
    for name, value in original.items():
        assert np.array_equal(value, expected[name]), name
    return graph


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_steps_go_into_the_weights_before_and_after(multiplier: int, per_channel: bool) -> None:
    net = PerChannel(EVEN)
    real = net.pair(net.node("Relu", [net.convolution(per_channel=per_channel)]))
    graph = _assert_equal(net.finish(net.depthwise(real, multiplier, per_channel=per_channel)))
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "Conv"]


def test_a_quantized_bias_keeps_its_integers() -> None:
    net = PerChannel(EVEN)
    integers = np.random.default_rng(4).integers(-3000, 3000, CHANNELS).astype(np.int32)
    bias = net.node("DequantizeLinear", [net.constant(integers), net.constant(np.float32(X_SCALE * W_SCALE))])
    conv = net.node("Conv", [net.real, net.weight(CHANNELS, 4, 3, 3), bias])
    graph = _assert_equal(net.finish(net.depthwise(net.pair(conv))))
    first = graph.ops[0]
    assert isinstance(first, Conv)
    assert np.array_equal(first.bias, integers)


def test_steps_of_a_calibration_cost_one_rounding_of_each_scale() -> None:
    net = PerChannel(ODD)
    model = net.finish(net.depthwise(net.pair(net.node("Relu", [net.convolution(bias=False)]))))
    _, original, expected = _compare(model)
    for name in ("steps", "y"):
        difference = np.abs(original[name].astype(int) - expected[name])
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_clip_that_saturation_does_not_do_becomes_a_bound_of_each_channel(dtype: Any) -> None:
    net = PerChannel(EVEN, zero_point=5, dtype=dtype)
    bounds = [net.constant(np.float32(bound)) for bound in (-0.3, 3)]
    graph, original, expected = _compare(net.finish(net.depthwise(net.pair(net.node("Clip", [net.convolution(), *bounds])))))
    offset = 128 if dtype == np.int8 else 0
    assert np.array_equal(original["steps"].astype(int) + offset, expected["steps"])
    assert np.array_equal(original["y"], expected["y"])
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "Lookup", "Conv"]
    assert isinstance(graph.ops[1], Lookup)
    assert len(graph.ops[1].table) == CHANNELS


def test_a_clip_at_the_end_of_the_range_vanishes() -> None:
    net = PerChannel(np.full(CHANNELS, 6 / 255) * np.linspace(0.4, 1, CHANNELS))
    bounds = [net.constant(np.float32(bound)) for bound in (0, 6)]
    graph, _, _ = _compare(net.finish(net.depthwise(net.pair(net.node("Clip", [net.convolution(), *bounds])))))
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "Conv"]


def test_functions_between_become_tables_of_each_channel() -> None:
    net = PerChannel(ODD)
    hidden = net.dequantize(net.quantize(net.convolution(), Y_SCALE, 100, output="hidden"), Y_SCALE, 100)
    real = net.node("Sigmoid", [net.pair(net.node("HardSigmoid", [hidden]))])
    graph = _assert_equal(net.finish(net.node("Mul", [real, net.constant(np.float32(30))])))
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "Lookup", "Lookup"]


def test_a_gated_function_of_one_tensor_becomes_a_table_of_each_channel() -> None:
    net = PerChannel(EVEN)
    real = net.pair(net.convolution())
    graph = _assert_equal(net.finish(net.node("Mul", [real, net.node("Sigmoid", [real])])))
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "Lookup"]


def test_steps_go_through_max_pooling() -> None:
    net = PerChannel(EVEN, zero_point=100)
    pool = net.node("MaxPool", [net.pair(net.convolution())], kernel_shape=[2, 2])
    graph = _assert_equal(net.finish(net.depthwise(net.node("Relu", [pool]))))
    assert "MaxPool" in [type(op).__name__ for op in graph.ops]


def test_both_sides_of_one_convolution_fold() -> None:
    net = PerChannel(EVEN)
    first = net.pair(net.node("Relu", [net.convolution()]))
    second = net.node("QuantizeLinear", [net.node("Conv", [first, net.weight(CHANNELS, 1, 1, 1), net.bias(CHANNELS)],
                                                  group=CHANNELS), *net.steps], "second", axis=1)
    real = net.node("DequantizeLinear", [second, *net.steps], axis=1)
    _assert_equal(net.finish(net.depthwise(real)))


def test_a_reader_that_adds_up_channels_is_refused() -> None:
    net = PerChannel(ODD)
    real = net.node("Conv", [net.pair(net.convolution()), net.weight(5, CHANNELS, 1, 1)], "mixed")
    with pytest.raises(UnsupportedError, match="Conv 'Conv_mixed' adds up channels that are quantized with different"):
        import_model(net.finish(real), ImportOptions(host=HostPolicy.NONE))


def test_several_zero_points_are_refused() -> None:
    net = PerChannel(ODD)
    net.initializers[net.steps[1]] = np.arange(CHANNELS).astype(np.uint8)
    with pytest.raises(UnsupportedError, match="per channel with 6 zero points; give all channels one zero point"):
        import_model(net.finish(net.depthwise(net.pair(net.convolution()))), ImportOptions(host=HostPolicy.NONE))
