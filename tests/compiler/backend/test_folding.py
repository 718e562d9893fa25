"""Tensors with several pixels per word: every tensor stays equal to ONNX Runtime's, in fewer cycles."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from verification import assert_exact

from arrayloom.compiler.backend.folding import FoldedTaps
from arrayloom.compiler.backend.operations import Taps
from arrayloom.host.runtime.backends import open_device
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.instructions import Convolve
from arrayloom.isa.program import Program

ZERO = 117
CRAMPED = Config(
    name="cramped", size=8, lanes=4, column_stage=2, row_stage=2, accumulator_depth=32, activation_bytes=4096,
    weight_words=128, parameter_entries=256)
CONFIGS = ["tiny", "16x16", "32x32", CRAMPED]
NAMES = ["tiny", "16x16", "32x32", "cramped"]


def _quantization(net: Network, scale: float = 0.05) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.uint8(ZERO))]


def _conv(net: Network, x: str, inputs: int, outputs: int, kernel: int = 3, **attributes: Any) -> str:
    rng = np.random.default_rng(inputs * 100 + outputs + len(net.nodes))
    low, high = attributes.pop("weights", (-127, 128))
    weight = rng.integers(low, high, (outputs, inputs, kernel, kernel)).astype(attributes.pop("dtype", np.int8))
    zero = 200 if weight.dtype == np.uint8 else 0
    spread = 100 * np.sqrt(inputs) * kernel * 0.05
    parts = [x, *_quantization(net), net.constant(weight), net.constant(np.float32(1.5 / spread)),
             net.constant(np.array(zero, weight.dtype)), *_quantization(net),
             net.constant(rng.integers(-2000, 2000, outputs).astype(np.int32))]
    pads = attributes.pop("pads", [kernel // 2] * 4)
    return net.node("QLinearConv", parts, kernel_shape=[kernel] * 2, pads=pads, **attributes)


def _concat(net: Network, parts: list[str], scales: list[float]) -> str:
    operands = [name for part, scale in zip(parts, scales, strict=True) for name in (part, *_quantization(net, scale))]
    return net.node("QLinearConcat", [*_quantization(net), *operands], axis=1)


def _slice(net: Network, x: str, first: int, last: int) -> str:
    bounds = [net.constant(np.array([value], np.int64)) for value in (first, last, 1)]
    return net.node("Slice", [x, *bounds])


def _add(net: Network, a: str, b: str) -> str:
    return net.node("QLinearAdd", [a, *_quantization(net), b, *_quantization(net), *_quantization(net, 0.08)])


def _model(net: Network, output: str, height: int = 12, width: int = 16, channels: int = 3) -> onnx.ModelProto:
    return net.model({"x": (np.uint8, [1, channels, height, width])}, [output])


def _stage(channels: int, scale: float = 0.05) -> onnx.ModelProto:
    """The first stages of a detector: slices, a residual block and a concatenation of their results."""
    net = Network()
    x = _conv(net, _conv(net, "x", 3, channels, strides=[2, 2]), channels, 2 * channels, strides=[2, 2])
    both = _conv(net, x, 2 * channels, 2 * channels, 1)
    one, two = _slice(net, both, 0, channels), _slice(net, both, channels, 2 * channels)
    hidden = _conv(net, two, channels, channels)
    summed = _add(net, two, _conv(net, hidden, channels, channels))
    joined = _concat(net, [one, two, summed], [0.05, scale, 0.05])
    made = _conv(net, joined, 3 * channels, 2 * channels, 1)
    return _model(net, _conv(net, made, 2 * channels, 4 * channels, strides=[2, 2]), 48, 64)


def _folds(program: Program) -> set[int]:
    return {layout.pixels for layout in program.layouts.values()}


@pytest.mark.parametrize("scale", [0.05, 0.06])
@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_a_detectors_first_stages_are_folded(config: str | Config, scale: float) -> None:
    chosen = load_config(config)
    program, verdict = assert_exact(_stage(chosen.size // 2, scale), chosen)
    assert max(_folds(program)) > 1
    assert verdict.tensors_compared >= 10       # all 11, unless parts of a concatenation are read in place
    assert find_stall(program, chosen) is None
    assert find_race(program, chosen, 0) is None


@pytest.mark.parametrize(("kernel", "attributes"), [
    (3, {"strides": [1, 1]}), (3, {"strides": [2, 2], "pads": [0, 0, 1, 1]}), (1, {}), (5, {"pads": [2, 1, 2, 3]}),
    (3, {"dilations": [2, 2], "pads": [2] * 4}), (3, {"dilations": [1, 3], "pads": [1, 3, 1, 3]}),
    (3, {"weights": (0, 256), "dtype": np.uint8}), (4, {"strides": [4, 4], "pads": [0] * 4})])
@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_folded_convolutions_equal_onnx_runtime(config: str | Config, kernel: int, attributes: dict[str, Any]) -> None:
    chosen = load_config(config)
    few = chosen.size // 4
    net = Network()
    x = _conv(net, _conv(net, "x", 3, few), few, few)
    made = _conv(net, x, few, few, kernel, **attributes)
    program, _ = assert_exact(_model(net, _conv(net, made, few, few, 1), 16, 24), chosen)
    assert max(_folds(program)) > 1


def test_a_folded_network_on_the_rtl() -> None:
    device = open_device("rtl", load_config("tiny"))
    try:
        program, verdict = assert_exact(_stage(2), "tiny", device)
    finally:
        device.close()
    assert max(_folds(program)) > 1
    assert verdict.report.backend == "rtl"


def test_a_fold_halves_the_pixels_of_a_narrow_layer() -> None:
    net = Network()
    x = _conv(net, _conv(net, "x", 3, 8), 8, 8)
    program, _ = assert_exact(_model(net, _conv(net, x, 8, 8), 16, 16), "16x16")
    pixels = sum(i.height * i.width * i.taps_y * i.taps_x * i.blocks for i in program if isinstance(i, Convolve))
    narrow = 3 * 9 * 16 * 16
    assert pixels < 0.6 * narrow


def test_what_is_pooled_is_not_folded() -> None:
    net = Network()
    x = _conv(net, "x", 3, 8)
    pooled = net.node("MaxPool", [_conv(net, x, 8, 8, strides=[2, 2])], kernel_shape=[2, 2], strides=[2, 2])
    program, _ = assert_exact(_model(net, pooled, 16, 16), "16x16")
    folded = {name for name, layout in program.layouts.items() if layout.pixels > 1}
    assert folded == {x}


def test_odd_widths_are_not_folded() -> None:
    net = Network()
    model = _model(net, _conv(net, _conv(net, _conv(net, "x", 3, 8), 8, 8), 8, 8), 16, 15)
    assert _folds(assert_exact(model, "16x16")[0]) == {1}


@pytest.mark.parametrize("before", [1, 2, 3, 4])
@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize("taps", [
    Taps((1, 3), origin=(0, -1)), Taps((1, 3), (1, 2), (0, -1)), Taps((1, 2), (1, 4), (0, 1)), Taps((1, 5), (1, 3), (0, -7)),
    Taps((1, 3), (1, 2), (0, -4), (1, 4)), Taps()])
def test_folded_taps_find_every_pixel(taps: Taps, before: int, after: int) -> None:
    folded = FoldedTaps.of(taps, before, after)
    if after * taps.strides[1] % before:
        assert folded is None
        return
    assert folded is not None
    assert folded.kernel(taps) == replace(taps, kernel=(1, folded.words), strides=(1, folded.stride),
                                          origin=(0, folded.origin), dilations=(1, folded.dilation))
    for column in range(20):
        for tap in range(taps.kernel[1]):
            word, pixel = (int(each[column % after, tap]) for each in (folded.word, folded.pixel))
            at = column // after * folded.stride + folded.origin + word * folded.dilation
            assert at * before + pixel == column * taps.strides[1] + taps.origin[1] + tap * taps.dilations[1]
