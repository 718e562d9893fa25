"""Concatenations whose parts convolutions read in place: enlarged parts and copies are not stored twice."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from verification import assert_exact

from arrayloom.host.runtime.backends import open_device
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.instructions import Convolve, Elementwise
from arrayloom.isa.program import Program

ZERO = 117
CRAMPED = Config(
    name="cramped", size=4, lanes=2, column_stage=2, row_stage=2, accumulator_depth=16, activation_bytes=2048,
    weight_words=32, parameter_entries=256)
CONFIGS = ["tiny", "16x16", CRAMPED]
NAMES = ["tiny", "16x16", "cramped"]


def _quantization(net: Network, scale: float = 0.05) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.uint8(ZERO))]


def _conv(net: Network, x: str, inputs: int, outputs: int, kernel: int = 1, **attributes: Any) -> str:
    rng = np.random.default_rng(inputs * 100 + outputs + len(net.nodes))
    weight = rng.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
    parts = [x, *_quantization(net), net.constant(weight), net.constant(np.float32(0.3 / np.sqrt(inputs) / kernel)),
             net.constant(np.int8(0)), *_quantization(net)]
    return net.node("QLinearConv", parts, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, **attributes)


def _silu(net: Network, x: str) -> str:
    """A convolution's epilogue with a lookup table, as in detectors."""
    return net.node("QLinearLeakyRelu", [x, *_quantization(net), *_quantization(net)], alpha=0.3)


def _concat(net: Network, parts: list[str], scales: list[float]) -> str:
    operands = [name for part, scale in zip(parts, scales, strict=True) for name in (part, *_quantization(net, scale))]
    return net.node("QLinearConcat", [*_quantization(net), *operands], axis=1)


def _enlarged(net: Network, x: str, rows: int, columns: int) -> str:
    scales = net.constant(np.float32([1, 1, rows, columns]))
    return net.node("Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor")


def _pyramid(net: Network, kernel: int = 1, scale: tuple[int, int] = (2, 2), table: float = 0.04) -> str:
    """The neck of a detector: an enlarged small map, concatenated with a map of the backbone that has another scale."""
    large = _silu(net, _conv(net, "x", 3, 6, 3))
    small = _silu(net, _conv(net, large, 6, 9, 3, strides=list(scale)))
    joined = _concat(net, [_enlarged(net, small, *scale), large], [0.05, table])
    return _silu(net, _conv(net, joined, 15, 11, kernel))


def _model(net: Network, output: str, height: int = 12, width: int = 16) -> onnx.ModelProto:
    return net.model({"x": (np.uint8, [1, 3, height, width])}, [output])


def _passes(program: Program) -> int:
    """The number of words written by passes over the scratchpad."""
    return sum(i.height * i.width for i in program if isinstance(i, Elementwise))


@pytest.mark.parametrize("scale", [(2, 2), (1, 2), (3, 4), (2, 1)])
@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_an_enlarged_part_equals_onnx_runtime(config: str | Config, scale: tuple[int, int]) -> None:
    net = Network()
    chosen = load_config(config)
    program, verdict = assert_exact(_model(net, _pyramid(net, scale=scale)), chosen)
    assert verdict.tensors_compared >= 4
    assert find_stall(program, chosen) is None
    assert [find_race(program, chosen, speeds) for speeds in range(2)] == [None] * 2


def test_an_enlarged_part_is_read_from_the_small_tensor() -> None:
    net = Network()
    program, _ = assert_exact(_model(net, _pyramid(net)), "16x16")
    repeated = [i for i in program if isinstance(i, Convolve) and i.stride_x == 0]
    assert {(i.height, i.width, i.source_width) for i in repeated} == {(8, 2, 1)}
    assert len(repeated) == 12      # one per row: the enlarged map is never stored
    assert _passes(program) == 12 * 16      # the requantized copy


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_windows_over_an_enlarged_part_equal_onnx_runtime(config: str | Config) -> None:
    """The enlarged part must be stored for them."""
    net = Network()
    program, _ = assert_exact(_model(net, _pyramid(net, kernel=3)), config)
    assert any(isinstance(i, Convolve) and i.taps_x == 3 for i in program)


def test_an_enlarged_tensor_that_leaves_the_device_is_stored() -> None:
    net = Network()
    small = _conv(net, "x", 3, 5, 3)
    large = _enlarged(net, small, 2, 2)
    joined = _concat(net, [large, _conv(net, large, 5, 3)], [0.05, 0.04])
    made = _conv(net, joined, 8, 4)
    model = net.model({"x": (np.uint8, [1, 3, 9, 10])}, [made, large])
    assert_exact(model, "16x16")


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_a_tensor_in_two_concatenations_equals_onnx_runtime(config: str | Config) -> None:
    net = Network()
    one, two = (_silu(net, _conv(net, "x", 3, outputs, 3)) for outputs in (5, 6))
    first = _conv(net, _concat(net, [one, two], [0.05, 0.06]), 11, 7, 3)
    second = _conv(net, _concat(net, [two, first, one], [0.05, 0.05, 0.03]), 18, 7)
    pooled = net.node("MaxPool", [two], kernel_shape=[3, 3], pads=[1] * 4)
    third = _conv(net, _concat(net, [pooled, second], [0.05, 0.05]), 13, 4)
    assert_exact(_model(net, third, 8, 8), config)


def test_parts_that_find_no_place_on_chip_are_stored_together() -> None:
    config = replace(CRAMPED, activation_bytes=1024)
    net = Network()
    program, _ = assert_exact(_model(net, _pyramid(net), 24, 16), config)
    assert not any(isinstance(i, Convolve) and i.stride_x == 0 and i.taps_x > 1 for i in program)


def test_an_enlarged_part_on_the_rtl() -> None:
    net = Network()
    device = open_device("rtl", load_config("tiny"))
    try:
        _, verdict = assert_exact(_model(net, _pyramid(net)), "tiny", device)
    finally:
        device.close()
    assert verdict.report.backend == "rtl"


def test_a_concatenation_that_is_a_member_of_another_is_stored() -> None:
    """Only lookup tables read the other concatenation, which is not stored itself."""
    net = Network()
    twice = ["x", *_quantization(net, 0.02), "x", *_quantization(net)]
    first = net.node("QLinearConcat", [*_quantization(net), *twice], axis=1)
    y = _conv(net, first, 8, 2, kernel=3)
    parts = [first, *_quantization(net), y, *_quantization(net, 0.2)]
    both = net.node("QLinearConcat", [*_quantization(net, 0.1), *parts], axis=1)
    net.quantize(net.node("Sigmoid", [net.dequantize(both, 0.1, ZERO)]), 1 / 256, 0, output="y")
    assert_exact(net.model({"x": (np.uint8, ["N", 4, 6, 6])}, ["y"]))
