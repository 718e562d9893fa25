"""First layers read packed words of several pixels: rows of a window or all of it, whichever takes fewer tiles."""

from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.isa.config import load_config
from arrayloom.isa.instructions import Convolve
from arrayloom.isa.layout import Packing
from arrayloom.isa.program import Program


def _model(channels: int, kernel: tuple[int, int], outputs: int, **attributes: Any) -> onnx.ModelProto:
    net = Network()
    rng = np.random.default_rng(channels * 10 + outputs)
    weight = rng.integers(-127, 128, (outputs, channels, *kernel)).astype(np.int8)
    quantization = [net.constant(np.float32(0.05)), net.constant(np.uint8(141))]
    fan_in = channels * kernel[0] * kernel[1]
    parts = ["x", *quantization, net.constant(weight), net.constant(np.float32(0.3 / np.sqrt(fan_in))),
             net.constant(np.int8(0)), *quantization]
    y = net.node("QLinearConv", parts, kernel_shape=list(kernel), **attributes)
    return net.model({"x": (np.uint8, [1, channels, 23, 19])}, [y])


def _packing(program: Program) -> Packing | None:
    return program.inputs[0].slot.layout.packing


def _tiles(program: Program) -> int:
    """The tiles of each block of the result."""
    return next(i.blocks * i.taps_y * i.taps_x for i in program if isinstance(i, Convolve))


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("attributes", [
    {"pads": [1, 1, 1, 1]}, {"pads": [0, 2, 3, 1]}, {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"strides": [3, 1], "pads": [2, 0, 1, 4]}, {"strides": [1, 4]}], ids=str)
@pytest.mark.parametrize("config", ["tiny", "16x16", "32x32"])
def test_windows_equal_onnx_runtime(config: str, attributes: dict[str, Any], channels: int) -> None:
    program, _ = assert_exact(_model(channels, (3, 3), 7, **attributes), config)
    size = load_config(config).size
    assert _tiles(program) <= 9 * -(-channels // size)


@pytest.mark.parametrize(("channels", "kernel", "config", "tiles", "rows"), [
    (3, (3, 3), "32x32", 1, 3),     # 27 bytes
    (3, (3, 3), "16x16", 2, 3),     # two words; window rows would need three
    (1, (5, 5), "32x32", 1, 5),
    (3, (7, 7), "16x16", 10, 7),    # 147 bytes; window rows would need two words each
    (4, (4, 4), "16x16", 4, 1),     # a row fills a word: packing the window is no better
    (3, (2, 5), "tiny", 8, 2),
])
def test_the_fewest_words_are_chosen(channels: int, kernel: tuple[int, int], config: str, tiles: int, rows: int) -> None:
    program, _ = assert_exact(_model(channels, kernel, 32), config)
    packing = _packing(program)
    assert packing is not None
    assert (_tiles(program), packing.row_taps) == (tiles, rows)


def test_dilated_and_wide_layers_are_not_packed() -> None:
    assert _packing(assert_exact(_model(3, (3, 3), 4, dilations=[2, 2]), "16x16")[0]) is None
    assert _packing(assert_exact(_model(4, (3, 3), 4), "tiny")[0]) is None
