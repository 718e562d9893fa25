"""Operators on two activations: equal to the lowered model, close to the original model."""

from typing import Any

import numpy as np
import onnx.parser
import pytest
from qdq_cases import ON_THE_DEVICE, Case, operators

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import BinaryLookup
from arrayloom.host.runtime.reference import Reference

SHAPE = (5, 6, 7)
DTYPES = [np.uint8, np.int8]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("shapes", [(SHAPE, SHAPE), ((5, 1, 1), SHAPE), (SHAPE, (1, 6, 7)), ((9,), (9,))])
def test_two_activations(operator: str, shapes: Any, dtype: Any) -> None:
    case = Case(dtype, a=shapes[0], b=shapes[1])
    imported = case.check(case.node(operator, [case.real["a"], case.real["b"]]))
    assert not any(isinstance(op, BinaryLookup) for op in imported.graph.ops)


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_three_activations_and_a_constant(operator: str) -> None:
    case = Case(a=SHAPE, b=SHAPE, c=SHAPE)
    inputs = [case.real["a"], case.real["b"], case.constant(np.float32(0.8)), case.real["c"]]
    case.check(case.node(operator, inputs), most=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_after_a_maximum(dtype: Any) -> None:
    case = Case(dtype, a=SHAPE, b=SHAPE)
    case.check(case.node("Relu", [case.node("Min", [case.real["a"], case.real["b"]])]), most=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_distance_of_two_activations(dtype: Any) -> None:
    case = Case(dtype, a=SHAPE, b=SHAPE)
    imported = case.check(case.node("Abs", [case.node("Sub", [case.real["a"], case.real["b"]])]), zero=0)
    assert operators(imported).count("QLinearAdd") == 2
    assert "Max" in operators(imported)


def test_distance_with_quantization_between() -> None:
    case = Case(a=SHAPE, b=SHAPE)
    difference = case.requantized(case.node("Sub", [case.real["a"], case.real["b"]]), 0.06, 128)
    case.check(case.node("Abs", [difference]), zero=0, most=2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotient_of_two_activations(dtype: Any) -> None:
    case = Case(dtype, a=(3, 4, 5), b=(3, 4, 5))
    divisor = case.node("Add", [case.node("Abs", [case.real["b"]]), case.constant(np.float32(0.5))])
    imported = case.check(case.node("Div", [case.real["a"], divisor]), most=0)
    assert [type(op) for op in imported.graph.ops] == [BinaryLookup]
    assert any("function of two bytes" in note for note in imported.graph.notes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("operator", ["Add", "Sub"])
@pytest.mark.parametrize("pooling", ["GlobalAveragePool", "ReduceMean"])
def test_means_are_combined_without_quantization(pooling: str, operator: str, absolute: bool, dtype: Any) -> None:
    """As in siamese networks."""
    case = Case(dtype, a=SHAPE, b=SHAPE)
    maps = [case.requantized(case.real[name], 0.05, 3) for name in "ab"]
    attributes: dict[str, Any] = {} if pooling == "GlobalAveragePool" else {"axes": [2, 3]}
    shape = case.constant(np.array([0, 5]))
    means = [case.node("Reshape", [case.node(pooling, [value], **attributes), shape]) for value in maps]
    combined = case.node(operator, means)
    case.check(case.node("Abs", [combined]) if absolute and operator == "Sub" else combined, scale=0.03)


def test_means_of_values_with_different_scales_are_refused() -> None:
    case = Case(a=SHAPE, b=SHAPE)
    means = [case.node("GlobalAveragePool", [case.real[name]]) for name in "ab"]
    case.quantize(case.node("Sub", means), 0.04, 90, output="y")
    with pytest.raises(UnsupportedError, match="put QuantizeLinear and DequantizeLinear after both means"):
        import_model(case.model({name: (np.uint8, ["N", *SHAPE]) for name in "ab"}, ["y"]), ON_THE_DEVICE)


@pytest.mark.parametrize("shapes", [((4, 5, 6), (4, 5, 6)), ((4, 5, 6), (4, 1, 1)), ((7,), (7,))])
def test_functions_between_two_activations(shapes: Any) -> None:
    """A gate that is not quantized before its product, and a function after a sum."""
    case = Case(a=shapes[0], b=shapes[1])
    product = case.node("Mul", [case.real["a"], case.node("Sigmoid", [case.real["b"]])])
    case.check(case.node("LeakyRelu", [product], alpha=0.2), most=0)


def test_relu_of_one_operand_is_a_clip_of_integers() -> None:
    case = Case(a=SHAPE, b=SHAPE)
    imported = case.check(case.node("Mul", [case.node("Relu", [case.real["a"]]), case.real["b"]]))
    assert "QLinearMul" in operators(imported)


def test_product_of_two_functions_of_one_activation_is_one_table() -> None:
    case = Case(a=SHAPE)
    gate = case.node("HardSigmoid", [case.real["a"]], alpha=1 / 6)
    imported = case.check(case.node("Mul", [case.real["a"], gate]), most=0)
    assert len(imported.graph.ops) == 1


@pytest.mark.parametrize("extent", [1, 7, 13, 55, 112])
def test_squeeze_and_excitation_over_any_map(extent: int) -> None:
    channels = 3
    case = Case(a=(channels, extent, extent))
    mean = case.requantized(case.node("GlobalAveragePool", [case.real["a"]]), 0.05, 3)
    gate = case.requantized(case.node("HardSigmoid", [mean]), 1 / 255, 0)
    case.check(case.node("Mul", [gate, case.real["a"]]))


def test_a_function_of_three_activations_is_refused() -> None:
    case = Case(a=SHAPE, b=SHAPE, c=SHAPE)
    product = case.node("Mul", [case.real["a"], case.node("Sigmoid", [case.real["b"]])])
    case.quantize(case.node("Add", [product, case.node("Tanh", [case.real["c"]])]), 0.04, 90, output="y")
    with pytest.raises(UnsupportedError, match="put QuantizeLinear and DequantizeLinear between the two"):
        import_model(case.model({name: (np.uint8, ["N", *SHAPE]) for name in "abc"}, ["y"]), ON_THE_DEVICE)


def test_a_sum_of_int8_with_a_scalar_is_the_table_of_the_float_sum() -> None:
    """As in a GELU that is quantized step by step: sums lie between two bytes, and ONNX Runtime computes them in float."""
    model = onnx.parser.parse_model("""
    <ir_version: 9, opset_import: ["" : 17]>
    gelu (int8[N, 4, 8, 8] x) => (int8[N, 4, 8, 8] y)
    <float s = {0.0078739}, float one_s = {0.00787402}, float y_s = {0.0157480}, int8 one = {127}, int8 z = {0}> {
        erf = DequantizeLinear(x, s, z)
        scalar = DequantizeLinear(one, one_s, z)
        sum = Add(erf, scalar)
        y = QuantizeLinear(sum, y_s, z)
    }""")
    imported = import_model(model)
    assert operators(imported).count("QLinearAdd") == 0
    inputs = {"x": np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8)}
    given, lowered = (Reference(each).run_all(inputs)["y"] for each in (imported.original, imported.lowered))
    np.testing.assert_array_equal(given, lowered)
