"""Operators on an activation and a constant, quantized or float: a scalar, or one value per channel or position."""

from typing import Any

import numpy as np
import pytest
from qdq_cases import ON_THE_DEVICE, Case, operators
from verification import assert_exact

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model

SHAPE = (6, 4, 5)
SHAPES = [(), (1,), (1, 1, 1), (6, 1, 1), (1, 6, 1, 1)]


@pytest.mark.parametrize("first", [False, True], ids=["activation first", "constant first"])
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "quantized"])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
@pytest.mark.parametrize("shape", SHAPES)
def test_scalars_and_values_a_channel_become_a_table(shape: Any, operator: str, quantized: bool, first: bool) -> None:
    case = Case(a=SHAPE)
    value = np.linspace(0.4, 1.9, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    constant = case.quantized_constant(value, 0.01, 0) if quantized else case.constant(value)
    operands = [constant, case.real["a"]] if first else [case.real["a"], constant]
    imported = case.check(case.node(operator, operands), most=0)
    assert [type(op).__name__ for op in imported.graph.ops] == ["Lookup"]


def test_a_layer_scale_quantized_a_channel() -> None:
    case = Case(np.int8, a=SHAPE)
    values = np.arange(-60, 60, 20, dtype=np.int8).reshape(6, 1, 1)
    scale = case.constant(np.linspace(0.001, 0.02, 6, dtype=np.float32))
    zero = case.constant(np.zeros(6, np.int8))
    gamma = case.node("DequantizeLinear", [case.constant(values), scale, zero], axis=0)
    case.check(case.node("Mul", [case.real["a"], gamma]), most=0)


@pytest.mark.parametrize("between", [False, True], ids=["in float", "quantized between"])
def test_hard_swish_written_out(between: bool) -> None:
    case = Case(a=SHAPE)
    shifted = case.node("Add", [case.real["a"], case.quantized_constant(3.0, 3 / 255, 0)])
    shifted = case.requantized(shifted, 0.06, 20) if between else shifted
    bounds = [case.constant(np.float32(bound)) for bound in (0, 6)]
    clipped = case.node("Clip", [shifted, *bounds])
    clipped = case.requantized(clipped, 6 / 255, 0) if between else clipped
    gate = case.node("Div", [clipped, case.quantized_constant(6.0, 6 / 255, 0)])
    gate = case.requantized(gate, 1 / 255, 0) if between else gate
    imported = case.check(case.node("Mul", [case.real["a"], gate]))
    assert ("QLinearMul" in operators(imported)) == between


@pytest.mark.parametrize("between", [False, True], ids=["in float", "quantized between"])
def test_gelu_written_out(between: bool) -> None:
    case = Case(np.int8, a=SHAPE)

    def closed(value: str, scale: float, zero: int = 128) -> str:
        return case.requantized(value, scale, zero) if between else value

    root = closed(case.node("Div", [case.real["a"], case.quantized_constant(1.41421, 1.41421 / 127, 128)]), 0.04)
    error = closed(case.node("Erf", [root]), 1 / 127)
    raised = closed(case.node("Add", [error, case.quantized_constant(1.0, 1 / 127, 128)]), 2 / 255, 0)
    product = closed(case.node("Mul", [case.real["a"], raised]), 0.08, 20)
    case.check(case.node("Mul", [product, case.quantized_constant(0.5, 0.5 / 127, 128)]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [False, True], ids=["activation first", "constant first"])
@pytest.mark.parametrize(
    ("shape", "given"),
    [((2, 20), (1, 2, 20)), ((2, 20), (1, 1, 20)), (SHAPE, (1, 1, 4, 5)), (SHAPE, (4, 1)), (SHAPE, (6, 1, 5)),
     ((6, 4), (4,))],
)
def test_quantized_constants_that_differ_between_positions(
    shape: Any, given: Any, first: bool, operator: str, dtype: Any
) -> None:
    case = Case(dtype, a=shape)
    values = np.random.default_rng(1).uniform(-2, 2, given).astype(np.float32)
    constant = case.quantized_constant(values, 0.02, 110)
    operands = [constant, case.real["a"]] if first else [case.real["a"], constant]
    case.check(case.node(operator, operands))


def test_float_constants_that_differ_between_positions_are_refused_with_a_remedy() -> None:
    case = Case(a=SHAPE)
    values = case.constant(np.arange(20, dtype=np.float32).reshape(4, 5))
    case.quantize(case.node("Mul", [case.real["a"], values]), 0.04, 90, output="y")
    with pytest.raises(UnsupportedError, match="differs between positions"):
        import_model(case.model({"a": (np.uint8, ["N", *SHAPE])}, ["y"]), ON_THE_DEVICE)


CONCATENATED = {
    "channels of one value": np.broadcast_to(np.float32([[[[0.5]], [[-1.0]]]]), (1, 2, 4, 5)),
    "coordinates": np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 5), indexing="ij"))[np.newaxis],
}


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "quantized"])
@pytest.mark.parametrize("values", CONCATENATED.values(), ids=CONCATENATED)
def test_constant_channels_are_concatenated(values: Any, quantized: bool) -> None:
    case = Case(a=SHAPE, b=SHAPE)
    value = np.ascontiguousarray(values, np.float32)
    constant = case.quantized_constant(value, 0.01, 128) if quantized else case.constant(value)
    joined = case.node("Concat", [case.real["a"], constant, case.real["b"]], axis=1)
    case.quantize(joined, 0.05, 100, output="y")
    model = case.model({name: (np.uint8, [1, *SHAPE]) for name in "ab"}, ["y"])
    assert_exact(model)


@pytest.mark.parametrize("factor", [0.75, 1.0059, 4.0])
@pytest.mark.parametrize("operator", ["Mul", "Div"])
@pytest.mark.parametrize("pooling", ["GlobalAveragePool", "AveragePool"])
def test_a_factor_before_quantization_joins_the_scale(pooling: str, operator: str, factor: float) -> None:
    case = Case(a=(3, 7, 7))
    attributes = {} if pooling == "GlobalAveragePool" else {"kernel_shape": [2, 2]}
    mean = case.node(pooling, [case.real["a"]], **attributes)
    scaled = case.node(operator, [mean, case.constant(np.float32(factor))])
    imported = case.check(case.node("Relu", [scaled]))
    assert f"QLinear{pooling}" in operators(imported)


def test_a_factor_after_a_convolution_and_its_activation_joins_the_scale() -> None:
    case = Case(a=SHAPE)
    values = np.random.default_rng(0).integers(-128, 128, (3, 6, 1, 1)).astype(np.int8)
    weight = case.dequantize(case.constant(values), 0.01, 0, np.int8)
    clip = case.node("Clip", [case.node("Conv", [case.real["a"], weight]), *(case.constant(np.float32(b)) for b in (0, 3))])
    imported = case.check(case.node("Mul", [clip, case.constant(np.float32(0.5))]), scale=0.02)
    assert operators(imported) == ["QLinearConv", "Clip"]
