"""Depthwise convolutions on the DEPTHWISE unit: every tensor equals ONNX Runtime's, and all accesses are ordered."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from mobile_networks import mobile_network
from networks import Network
from small_accelerators import DEPTHWISE, ROOMY, TINY, WIDE
from verification import assert_exact

from arrayloom.compiler import compile_model
from arrayloom.isa.hazards import find_hazards
from arrayloom.isa.instructions import Convolve, Depthwise, DrainDepthwise
from arrayloom.isa.program import Program

CONFIG = DEPTHWISE
CRAMPED = replace(CONFIG, name="cramped", activation_bytes=1024, accumulator_depth=16)


class DepthwiseNetwork(Network):
    """Convolutions of unsigned or signed bytes with random weights."""

    def __init__(self, seed: int, signed: bool = False) -> None:
        super().__init__()
        self.random, self.dtype = np.random.default_rng(seed), np.int8 if signed else np.uint8
        self.zero = int(self.random.integers(-9, 9)) + (0 if signed else 128)

    def quantization(self, scale: float = 0.05) -> list[str]:
        return [self.constant(np.float32(scale)), self.constant(self.dtype(self.zero))]

    def conv(self, x: str, channels: int, filters: int, kernel: tuple[int, int] = (1, 1), groups: int = 1,
             unsigned_weights: bool = False, **attributes: object) -> str:
        depth = channels // groups
        shape = (filters, depth, *kernel)
        spread = 73 * np.sqrt(depth * kernel[0] * kernel[1])
        weight = self.random.integers(0, 256, shape, np.uint8) if unsigned_weights else self.random.integers(
            -127, 128, shape, np.int8)
        count = 1 if unsigned_weights else filters
        scales = (self.random.uniform(0.5, 1, count) / spread).astype(np.float32)
        zeros = np.full(count, 3, np.uint8) if unsigned_weights else np.zeros(count, np.int8)
        parts = [x, *self.quantization(), self.constant(weight), self.constant(scales if count > 1 else scales[0]),
                 self.constant(zeros if count > 1 else zeros[0]), *self.quantization(),
                 self.constant(self.random.integers(-500, 500, filters, np.int32))]
        return self.node("QLinearConv", parts, kernel_shape=list(kernel), group=groups, **attributes)

    def depthwise(self, x: str, channels: int, kernel: tuple[int, int], **attributes: object) -> str:
        return self.conv(x, channels, channels, kernel, channels, **attributes)

    def add(self, left: str, right: str) -> str:
        return self.node("QLinearAdd", [left, *self.quantization(), right, *self.quantization(), *self.quantization()])

    def finish(self, output: str, channels: int, side: int) -> onnx.ModelProto:
        return self.model({"x": (self.dtype, [1, channels, side, side])}, [output])


def _kinds(program: Program) -> Counter[type]:
    return Counter(type(one) for one in program)


@pytest.mark.parametrize("seed", range(24))
def test_random_layers(seed: int) -> None:
    """Kernels up to 7x7, strides, dilations and pads of all kinds, between convolutions."""
    rng = np.random.default_rng(seed)
    signed = seed % 3 == 0
    net = DepthwiseNetwork(seed, signed)
    channels, side = int(rng.integers(2, 11)), int(rng.integers(7, 18))
    kernel = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    dilations = [int(rng.integers(1, 3)) if size < 4 else 1 for size in kernel]
    reach = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    pads = [int(rng.integers(0, min(size, side) + 1)) for size in (*reach, *reach)]
    x = net.conv("x", 3, channels)
    x = net.depthwise(x, channels, kernel, strides=[int(rng.integers(1, 4)), int(rng.integers(1, 4))], dilations=dilations,
                      pads=pads, unsigned_weights=seed % 4 == 1 and not signed)
    model = net.finish(net.conv(x, channels, 5), 3, side)
    program, _ = assert_exact(model, CONFIG if seed % 2 else WIDE)
    kinds = _kinds(program)
    assert kinds[Depthwise] == kinds[DrainDepthwise] > 0
    assert not list(find_hazards(program))


@pytest.mark.parametrize("config", [CONFIG, WIDE, CRAMPED, "16x16-mobile", "32x32-mobile"], ids=str)
def test_an_inverted_residual(config: object) -> None:
    net = DepthwiseNetwork(5)
    x = net.conv("x", 3, 8, (3, 3), pads=[1] * 4)
    wide = net.conv(x, 8, 24)
    x = net.add(x, net.conv(net.depthwise(wide, 24, (3, 3), pads=[1] * 4), 24, 8))
    x = net.add(x, net.depthwise(x, 8, (5, 5), pads=[2] * 4))
    program, _ = assert_exact(net.finish(x, 3, 20), config)     # type: ignore[arg-type]
    assert not list(find_hazards(program))


def test_pieces_of_a_block_take_turns() -> None:
    """The instructions of expansion, depthwise convolution and projection of an inverted residual are interleaved."""
    net = DepthwiseNetwork(5)
    wide = net.conv(net.conv("x", 3, 8, (3, 3), pads=[1] * 4), 8, 24)
    program = compile_model(net.finish(net.conv(net.depthwise(wide, 24, (3, 3), pads=[1] * 4), 24, 8), 3, 32), CONFIG)
    order = "".join("C" if isinstance(one, Convolve) else "D" for one in program if isinstance(one, Convolve | Depthwise))
    assert order.count("CDC") > 40
    assert "D" * 8 not in order


def test_what_the_unit_cannot_hold_is_the_array_s() -> None:
    net = DepthwiseNetwork(1)
    multiplied = net.conv("x", 4, 8, (3, 3), groups=4)
    large = net.depthwise(multiplied, 8, (9, 1))
    program, _ = assert_exact(net.finish(large, 4, 14), CONFIG)
    assert not _kinds(program)[Depthwise]


def test_without_the_unit_nothing_changes() -> None:
    net = DepthwiseNetwork(1)
    program, _ = assert_exact(net.finish(net.depthwise("x", 4, (3, 3)), 4, 14), TINY)
    assert not _kinds(program)[Depthwise]


def test_a_kernel_without_room_is_the_array_s() -> None:
    """The kernels of this layer do not fit the scratchpad."""
    net = DepthwiseNetwork(2)
    channels = 160
    wide = net.conv("x", 2, channels)
    program, _ = assert_exact(net.finish(net.depthwise(wide, channels, (7, 7), pads=[3] * 4), 2, 3), CRAMPED)
    assert not _kinds(program)[Depthwise]


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_mobile_networks(name: str) -> None:
    program, _ = assert_exact(mobile_network(name, 32, 0.25), ROOMY)
    assert _kinds(program)[Depthwise] > 20
