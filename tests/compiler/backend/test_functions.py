"""Sums and products of functions of one tensor become lookup tables, equal to ONNX Runtime's bytes."""

from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.isa.instructions import Drain, Elementwise
from arrayloom.isa.program import Program

ZERO = {np.uint8: 131, np.int8: -7}


class _Builder:
    """Nodes whose tensors all have one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.net, self.dtype = Network(), dtype

    def quantization(self, scale: float = 0.05) -> list[str]:
        return [self.net.constant(np.float32(scale)), self.net.constant(np.array(ZERO[self.dtype], self.dtype))]

    def conv(self, x: str, inputs: int, outputs: int) -> str:
        weight = np.random.default_rng(inputs).integers(-127, 128, (outputs, inputs, 3, 3)).astype(np.int8)
        parts = [x, *self.quantization(), self.net.constant(weight), self.net.constant(np.float32(0.02)),
                 self.net.constant(np.int8(0)), *self.quantization()]
        return self.net.node("QLinearConv", parts, kernel_shape=[3, 3], pads=[1] * 4)

    def unary(self, operator: str, x: str, **attributes: Any) -> str:
        return self.net.node(operator, [x, *self.quantization(), *self.quantization(0.04)], **attributes)

    def binary(self, operator: str, a: str, b: str, first: float = 0.05, second: float = 0.04) -> str:
        operands = [a, *self.quantization(first), b, *self.quantization(second)]
        return self.net.node(operator, [*operands, *self.quantization(0.09)])

    def model(self, *outputs: str) -> onnx.ModelProto:
        return self.net.model({"x": (self.dtype, [1, 3, 7, 6])}, list(outputs))


def _passes(program: Program) -> int:
    return sum(isinstance(i, Elementwise) for i in program)


def _silu(make: _Builder, x: str) -> str:
    return make.binary("QLinearMul", x, make.unary("QLinearSigmoid", x))


def _sum(make: _Builder, x: str) -> str:
    return make.binary("QLinearAdd", make.unary("QLinearLeakyRelu", x, alpha=0.2), x, 0.04, 0.05)


def _doubled(make: _Builder, x: str) -> str:
    return make.binary("QLinearAdd", x, x, 0.05, 0.05)


def _chain(make: _Builder, x: str) -> str:
    """A product of a sum and a nested function, all of x."""
    low, high = (make.net.constant(np.array(value, make.dtype)) for value in (ZERO[make.dtype] - 20, ZERO[make.dtype] + 60))
    clipped = make.net.node("Clip", [make.unary("QLinearSigmoid", x), low, high])
    return make.binary("QLinearMul", _sum(make, x), clipped, 0.09, 0.04)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("function", [_silu, _sum, _doubled, _chain])
@pytest.mark.parametrize("config", ["tiny", "16x16"])
def test_a_function_of_a_convolution_is_its_epilogue(config: str, function: Any, dtype: Any) -> None:
    make = _Builder(dtype)
    program, _ = assert_exact(make.model(function(make, make.conv("x", 3, 5))), config)
    assert _passes(program) == 0
    assert all(i.lookup_table and not i.add for i in program if isinstance(i, Drain))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("function", [_silu, _chain])
def test_what_else_reads_an_operand_still_finds_it(function: Any, dtype: Any) -> None:
    make = _Builder(dtype)
    x = make.conv("x", 3, 5)
    gate = make.unary("QLinearSigmoid", x)
    product = make.binary("QLinearMul", x, gate)
    _, verdict = assert_exact(make.model(make.conv(gate, 5, 4), function(make, product), x), "tiny")
    assert set(verdict.outputs) >= {x}


def test_operands_of_two_tensors_are_added_as_before() -> None:
    make = _Builder(np.uint8)
    one, two = make.conv("x", 3, 5), make.conv("x", 3, 5)
    program, _ = assert_exact(make.model(make.binary("QLinearMul", one, make.unary("QLinearSigmoid", two))), "tiny")
    assert any(i.add for i in program if isinstance(i, Drain | Elementwise))


def test_functions_of_a_channel_are_composed_row_by_row() -> None:
    net = Network(opset=17)
    rng = np.random.default_rng(1)
    x = net.dequantize("x", 0.05, 120)
    constants = [net.constant(rng.uniform(0.3, 1.5, 3).astype(np.float32)) for _ in range(4)]
    normal = net.quantize(net.node("BatchNormalization", [x, *constants]), 0.04, 118)
    given = [net.constant(np.float32(0.05)), net.constant(np.uint8(120))]
    scaled = [net.constant(np.float32(0.04)), net.constant(np.uint8(118))]
    gate = net.node("QLinearSigmoid", [normal, *scaled, net.constant(np.float32(1 / 256)), net.constant(np.uint8(0))])
    y = net.node("QLinearMul", [gate, net.constant(np.float32(1 / 256)), net.constant(np.uint8(0)), "x", *given,
                                net.constant(np.float32(0.03)), net.constant(np.uint8(121))])
    program, _ = assert_exact(net.model({"x": (np.uint8, [1, 3, 7, 6])}, [y]), "tiny")
    assert not any(i.add for i in program if isinstance(i, Elementwise))
