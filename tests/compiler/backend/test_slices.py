"""Convolutions whose result is read in slices: each slice is computed in its own blocks, and nothing is moved."""

from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Convolve
from arrayloom.isa.program import Program

ZERO = 117
CRAMPED = Config(
    name="cramped", size=4, lanes=2, column_stage=2, row_stage=2, accumulator_depth=16, activation_bytes=1024,
    weight_words=32, parameter_entries=256)
CONFIGS = ["tiny", "16x16", CRAMPED]
NAMES = ["tiny", "16x16", "cramped"]
SIDE = 9


def _quantization(net: Network, scale: float = 0.05) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.uint8(ZERO))]


def _conv(net: Network, x: str, inputs: int, outputs: int, kernel: int = 1) -> str:
    rng = np.random.default_rng(inputs * 100 + outputs)
    weight = rng.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
    parts = [x, *_quantization(net), net.constant(weight), net.constant(np.float32(0.3 / np.sqrt(inputs) / kernel)),
             net.constant(np.int8(0)), *_quantization(net)]
    return net.node("QLinearConv", parts, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)


def _slice(net: Network, x: str, first: int, last: int, step: int = 1) -> str:
    bounds = [net.constant(np.array([value], np.int64)) for value in (first, last, 1, step)]
    return net.node("Slice", [x, *bounds])


def _leaky(net: Network, x: str) -> str:
    return net.node("QLinearLeakyRelu", [x, *_quantization(net), *_quantization(net)], alpha=0.3)


def _clip(net: Network, x: str, low: int, high: int) -> str:
    return net.node("Clip", [x, net.constant(np.uint8(low)), net.constant(np.uint8(high))])


def _concat(net: Network, parts: list[str], scales: list[float]) -> str:
    operands = [name for part, scale in zip(parts, scales, strict=True) for name in (part, *_quantization(net, scale))]
    return net.node("QLinearConcat", [*_quantization(net), *operands], axis=1)


def _model(net: Network, outputs: list[str]) -> onnx.ModelProto:
    return net.model({"x": (np.uint8, [1, 3, SIDE, SIDE])}, outputs)


def _halves(after: Any, table: bool = True, scale: float = 0.07) -> onnx.ModelProto:
    """Two halves of a convolution's channels; ``after`` is applied to the first, which is then requantized."""
    net = Network()
    both = _conv(net, "x", 3, 10, 3)
    both = _leaky(net, both) if table else both
    one, two = after(net, _slice(net, both, 0, 5)), _slice(net, both, 5, 10)
    joined = _concat(net, [one, _conv(net, two, 5, 4, 3)], [scale, 0.05])
    return _model(net, [_conv(net, joined, 9, 6)])


def _tiles(program: Program) -> int:
    return sum(i.height * i.width * i.blocks * i.taps_y * i.taps_x for i in program if isinstance(i, Convolve))


@pytest.mark.parametrize("scale", [0.05, 0.07])
@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("after", [
    lambda _, x: x, _leaky, lambda net, x: _clip(net, x, 90, 200), lambda net, x: _leaky(net, _clip(net, x, 100, 180)),
    lambda net, x: _clip(net, _leaky(net, x), 100, 180)], ids=["nothing", "table", "clamp", "clamp, table", "table, clamp"])
@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_slices_equal_onnx_runtime(config: str | Config, after: Any, table: bool, scale: float) -> None:
    assert_exact(_halves(after, table, scale), config)


def test_slices_take_no_tiles_of_their_own() -> None:
    program, verdict = assert_exact(_halves(lambda _, x: x, scale=0.05), "16x16")
    pixels = SIDE * SIDE
    assert _tiles(program) == (2 * 2 + 9 + 2) * pixels     # two slices of the packed layer, then the layers on them
    assert verdict.tensors_compared == 7


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize("bounds", [[(0, 8), (2, 6)], [(0, 10, 2), (1, 10, 2)], [(3, 7)], [(0, 4), (4, 7), (7, 10)]])
def test_any_slices_equal_onnx_runtime(config: str | Config, bounds: list[tuple[int, ...]]) -> None:
    net = Network()
    both = _leaky(net, _conv(net, "x", 3, 10, 3))
    outputs = [_conv(net, _slice(net, both, *bound), len(range(*bound)), 4) for bound in bounds]
    assert_exact(_model(net, outputs), config)


def test_what_is_read_whole_too_is_made_once() -> None:
    net = Network()
    both = _conv(net, "x", 3, 10, 3)
    one, whole = _conv(net, _slice(net, both, 0, 5), 5, 4), _conv(net, both, 10, 3)
    program, verdict = assert_exact(_model(net, [one, whole]), "16x16")
    assert verdict.tensors_compared == 4
    assert _tiles(program) == (2 + 1 + 1 + 1) * SIDE * SIDE


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_a_slice_with_a_border_is_no_slice_of_channels(config: str | Config) -> None:
    net = Network()
    part = _slice(net, _conv(net, "x", 3, 6), 0, 4)
    pads = [net.constant(np.array([0, 0, 0, 0, 0, 0, 2, 1], np.int64)), net.constant(np.uint8(ZERO))]
    assert_exact(_model(net, [net.node("Pad", [part, *pads])]), config)
