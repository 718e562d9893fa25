"""Products of a plan in both libraries, compared with 64-bit sums."""

import numpy as np
import pytest

from arrayloom.isa import arithmetic
from arrayloom.sim.plan import Library
from arrayloom.sim.plan.products import (
    BlasProduct,
    OnnxRuntimeProduct,
    Requantization,
    exact_kernels,
    make_product,
)

ROWS = 9


def _form(rng: np.random.Generator, columns: int, **more: int) -> Requantization:
    bounds = {"zero_point": 3, "low": -128, "high": 127} | more
    scale = (2.0 ** rng.uniform(-14, -6, columns)).astype(np.float32)
    return Requantization(rng.integers(-5000, 5000, columns).astype(np.int32), scale, **bounds)


def _expected(rows: np.ndarray, weights: np.ndarray, form: Requantization) -> np.ndarray:
    sums = (rows.astype(np.int64) @ weights.astype(np.int64) + form.bias).astype(np.int32)
    return np.clip(arithmetic.requantize_float(sums, form.scale) + form.zero_point, form.low, form.high).astype(np.int8)


@pytest.mark.parametrize("library", Library)
@pytest.mark.parametrize(("terms", "columns"), [(4, 4), (16, 48), (144, 16), (2048, 8), (2304, 64)])
@pytest.mark.parametrize("more", [{}, {"low": -5, "high": 90}, {"zero_point": -128}, {"zero_point": 127}])
def test_products_of_any_bytes(library: Library, terms: int, columns: int, more: dict[str, int]) -> None:
    rng = np.random.default_rng(terms)
    weights = rng.integers(-128, 128, (terms, columns)).astype(np.int8)
    form, rows = _form(rng, columns, **more), rng.integers(-128, 128, (ROWS, terms)).astype(np.int8)
    wanted = _expected(rows, weights, form)
    product = make_product(library, weights, form)
    np.testing.assert_array_equal(product(rows.reshape(3, 3, terms).copy()).reshape(ROWS, columns), wanted)
    assert np.unique(wanted).size > 2


@pytest.mark.parametrize("signed_weights", [True, False])
@pytest.mark.parametrize("byte", [-128, 127])
@pytest.mark.parametrize("weight", [-128, 127])
def test_the_largest_sums(byte: int, weight: int, signed_weights: bool) -> None:
    """Pairs of these products exceed the 16 bits in which some kernels add."""
    weights = np.full((4096, 16), weight, np.int8)
    form = Requantization(np.zeros(16, np.int32), np.full(16, 2.0 ** -20, np.float32), 0, -128, 127)
    rows = np.full((ROWS, 4096), byte, np.int8)
    wanted = _expected(rows, weights, form)
    assert signed_weights <= exact_kernels()
    np.testing.assert_array_equal(OnnxRuntimeProduct(weights, form, signed_weights)(rows.copy()), wanted)
    np.testing.assert_array_equal(BlasProduct(weights, form)(rows), wanted)


@pytest.mark.parametrize(("bias", "zero_point"), [(2**31 - 1, 0), (-2**31, 0), (0, 128), (0, -200)])
def test_what_does_not_fit_the_kernel_is_multiplied_in_float32(bias: int, zero_point: int) -> None:
    rng = np.random.default_rng(1)
    weights, rows = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((32, 4), (ROWS, 32)))
    form = Requantization(np.full(4, bias, np.int32), np.full(4, 2.0 ** -12, np.float32), zero_point, -128, 127)
    product = make_product(Library.ONNXRUNTIME, weights, form)
    assert isinstance(product, BlasProduct)
    sums = (rows.astype(np.int64) @ weights.astype(np.int64) + bias).astype(np.int32)
    wanted = np.clip(arithmetic.requantize_float(sums, form.scale) + zero_point, -128, 127)
    np.testing.assert_array_equal(product(rows), wanted)
