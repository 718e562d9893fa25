"""Adds and products beyond the add unit, and arbitrary functions of two bytes: exact at every byte."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.compiler.backend.add import add_constants, product_constants
from arrayloom.compiler.backend.epilogue import HIGH, LOW
from arrayloom.compiler.backend.expansion import SUPPRESS, expand
from arrayloom.compiler.backend.wide import product_table, sum_table, wide_add, wide_product
from arrayloom.compiler.frontend.operators.elementwise import fma
from arrayloom.compiler.graph import Add, Mul
from arrayloom.isa import arithmetic

Draw = tuple[np.float32, int]   # scale and zero point


def _draws(rng: np.random.Generator, unsigned: bool) -> list[Draw]:
    """Parameters of two operands and a result: scales far apart, a third of them powers of two."""
    low = 0 if unsigned else -128
    scales = [2.0 ** rng.integers(-12, 8) if rng.random() < 1 / 3 else np.exp(rng.uniform(-9, 6)) for _ in range(3)]
    return [(np.float32(scale), int(rng.integers(low, low + 256))) for scale in scales]


def _add(a: Draw, b: Draw, y: Draw) -> Add:
    ratios = a[0] / y[0], b[0] / y[0]
    offset = np.float32(y[1]) - fma(ratios[0], np.float32(a[1]), ratios[1] * np.float32(b[1]))
    return Add(name="add", op_type="QLinearAdd", output="y", a="a", b="b", a_ratio=ratios[0], b_ratio=ratios[1],
               offset=np.float32(offset))


def _mul(a: Draw, b: Draw, y: Draw) -> Mul:
    return Mul(name="mul", op_type="QLinearMul", output="y", a="a", b="b", a_zero=a[1], b_zero=b[1],
               scale=a[0] * b[0] / y[0], y_zero=y[1])


def _model(operator: str, draws: list[Draw], dtype: Any, shape: tuple[int, ...] = (3, 16, 8)) -> onnx.ModelProto:
    net = Network()
    names = [(net.constant(scale), net.constant(np.array(zero, dtype))) for scale, zero in draws]
    net.node(operator, ["a", *names[0], "b", *names[1], *names[2]], "y")
    extents = ["N", *shape]
    return net.model({"a": (dtype, extents), "b": (dtype, extents)}, ["y"])


WIDE = {
    "first operand": [(2.0, 3), (0.01, 120), (0.02, 130)],
    "second operand": [(0.01, 3), (2.0, 120), (0.02, 7)],
    "both": [(2.0, 100), (2.5, 120), (0.02, 130)],
    "one hides the other": [(900.0, 128), (0.001, 120), (0.01, 130)],
}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("draws", WIDE.values(), ids=WIDE)
def test_adds_with_ratios_beyond_the_unit_are_exact(draws: list[tuple[float, int]], dtype: Any) -> None:
    shift = 0 if dtype == np.uint8 else 128
    chosen = [(np.float32(scale), zero - shift) for scale, zero in draws]
    assert add_constants(_add(*chosen), unsigned=not shift) is None
    assert_exact(_model("QLinearAdd", chosen, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("scale", [1.0, 1.0625, 1.7, 30.0, 1e5])
def test_products_with_scales_of_one_and_more_are_exact(scale: float, dtype: Any) -> None:
    shift = 0 if dtype == np.uint8 else 128
    chosen = [(np.float32(scale), 90 - shift), (np.float32(0.5), 130 - shift), (np.float32(0.5), 77 - shift)]
    assert_exact(_model("QLinearMul", chosen, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_the_table_after_a_product_follows_it_into_a_convolution(dtype: Any) -> None:
    shift = 0 if dtype == np.uint8 else 128
    model = _model("QLinearMul", [(np.float32(scale), 128 - shift) for scale in (1.7, 0.5, 0.5)], dtype)
    net = Network()
    weight = np.random.default_rng(2).integers(-128, 128, (3, 3, 1, 1)).astype(np.int8)
    scale, zero = net.constant(np.float32(0.02), "scale"), net.constant(np.array(128 - shift, dtype), "zero")
    weights = [net.constant(weight, "weight"), scale, net.constant(np.int8(0), "weight_zero")]
    net.node("QLinearConv", ["a", scale, zero, *weights, scale, zero], "made")
    product = model.graph.node[0]
    product.input[0] = "made"
    model.graph.node.insert(0, net.nodes[0])
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in net.initializers.items())
    assert_exact(model)


def test_expanded_operands_stay_small_on_wide_tensors() -> None:
    draws = [(np.float32(scale), zero) for scale, zero in WIDE["both"]]
    assert_exact(_model("QLinearAdd", draws, np.uint8, (40, 1, 20)))


@pytest.mark.parametrize("seed", range(8))
def test_random_scales_give_every_byte_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(6):
        unsigned = bool(rng.integers(2))
        draws = _draws(rng, unsigned)
        _check_add(_add(*draws), unsigned)
        _check_product(_mul(*draws), unsigned)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_random_scales_give_every_byte_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    for _ in range(60):
        unsigned = bool(rng.integers(2))
        draws = _draws(rng, unsigned)
        _check_add(_add(*draws), unsigned)
        _check_product(_mul(*draws), unsigned)


def _check_add(op: Add, unsigned: bool) -> None:
    expected = sum_table(op, unsigned)
    wide = wide_add(op, unsigned)
    if add_constants(op, unsigned) is None and wide is None:
        _check_expansion(expected)
    elif wide is not None:
        a, b = wide.a_table[0].astype(np.int64)[:, np.newaxis], wide.b_table[0].astype(np.int64)
        constants = wide.constants
        made = arithmetic.residual_add(a, b, constants.ratio_a, constants.ratio_b, constants.add_offset)
        assert np.array_equal(np.clip(made, LOW, HIGH), expected), op


def _check_product(op: Mul, unsigned: bool) -> None:
    if product_constants(op, unsigned) is not None:
        return
    expected = product_table(op, unsigned)
    wide = wide_product(op, unsigned)
    if wide is None:
        _check_expansion(expected)
        return
    constants, table = wide
    values = np.arange(-128, 128, dtype=np.int64)
    product = (values + constants.a_offset)[:, np.newaxis] * (values + constants.b_offset)
    zero = np.full_like(product, constants.product_zero)
    made = arithmetic.residual_add(zero, product, constants.ratio_a, constants.ratio_b, 0) + constants.sum_offset
    assert np.array_equal(table[0][np.clip(made, LOW, HIGH) + 128], expected), op


FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "quotient": lambda a, b: np.clip(np.rint(a * 20 / np.where(b == 0, 0.5, b)), LOW, HIGH),
    "distance": lambda a, b: np.minimum(np.abs(a - b), HIGH),
    "lowest": lambda a, b: np.broadcast_to(LOW, np.broadcast_shapes(a.shape, b.shape)),
    "second alone": lambda a, b: np.broadcast_to(b % 7, np.broadcast_shapes(a.shape, b.shape)),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_any_function_of_two_bytes_is_a_sum_of_suppressed_ones(function: Any) -> None:
    values = np.arange(-128, 128, dtype=np.int64)
    _check_expansion(function(values[:, np.newaxis], values).astype(np.int64))


def _check_expansion(table: np.ndarray) -> None:
    found = expand(table)
    chosen, other = np.indices((256, 256)).reshape(2, -1)
    total = np.full(chosen.size, 128 * (found.groups - 1))
    for mask, function in zip(found.masks.astype(np.int64), found.functions.astype(np.int64), strict=True):
        kept = arithmetic.residual_add(mask[chosen], function[other], SUPPRESS.ratio_a, SUPPRESS.ratio_b, 0)
        total += np.clip(kept, LOW, HIGH)
    made = total.reshape(256, 256)
    assert np.array_equal(made.T if found.swapped else made, table)
