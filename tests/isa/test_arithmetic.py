"""The integer arithmetic compared with float32 itself."""

import numpy as np
import pytest

from arrayloom.isa import arithmetic
from arrayloom.isa.errors import EncodingError


def _scales(rng: np.random.Generator, count: int) -> np.ndarray:
    scales = np.exp2(rng.uniform(-34, 9, count)).astype(np.float32)
    powers = np.exp2(rng.integers(-34, 9, count)).astype(np.float32)
    near = (powers * np.float32(1 + 2.0**-23)).astype(np.float32)
    return np.choose(rng.integers(0, 3, count), [scales, powers, near])


def _accumulators(rng: np.random.Generator, scales: np.ndarray) -> np.ndarray:
    """Integers near half-way points of the result, where rounding decides, and arbitrary ones."""
    target = rng.integers(-300, 300, scales.size) + rng.choice([0.0, 0.5], scales.size)
    near = np.rint(target / scales.astype(np.float64)) + rng.integers(-2, 3, scales.size)
    anything = rng.integers(-(1 << 31), 1 << 31, scales.size)
    return np.clip(np.where(rng.random(scales.size) < 0.8, near, anything), -(1 << 31), (1 << 31) - 1).astype(np.int64)


def test_requantize_is_two_float32_roundings() -> None:
    rng = np.random.default_rng(1)
    scales = _scales(rng, 1_000_000)
    acc = _accumulators(rng, scales)
    encoded = {s: arithmetic.encode_scale(s) for s in np.unique(scales)}
    multiplier = np.array([encoded[s].multiplier for s in scales], np.int64)
    shift = np.array([encoded[s].shift for s in scales], np.int64)
    expected = np.clip(np.rint(acc.astype(np.int32).astype(np.float32) * scales), -511, 511)
    np.testing.assert_array_equal(arithmetic.requantize(acc, multiplier, shift), expected.astype(np.int64))
    np.testing.assert_array_equal(arithmetic.requantize_float(acc.astype(np.int32), scales), expected)


def test_requantize_at_the_ends_of_int32() -> None:
    acc = np.array([-(1 << 31), (1 << 31) - 1, 0, 1, -1], np.int64)
    for value in (2.0**-31, 2.0**-23, 1.0, 200.0, 3.0e-8):
        scale = arithmetic.encode_scale(np.float32(value))
        expected = np.clip(np.rint(acc.astype(np.float32) * np.float32(value)), -511, 511)
        np.testing.assert_array_equal(
            arithmetic.requantize(acc, np.int64(scale.multiplier), np.int64(scale.shift)), expected)


def test_round_to_24_bits_is_float32() -> None:
    rng = np.random.default_rng(2)
    values = (rng.integers(0, 1 << 54, 200_000) >> rng.integers(0, 54, 200_000)) * rng.choice([-1, 1], 200_000)
    ties = ((rng.integers(1 << 23, 1 << 24, 50_000) * 2 + 1) << rng.integers(0, 28, 50_000))
    both = np.concatenate([values, ties])
    np.testing.assert_array_equal(arithmetic.round_to_24_bits(both), both.astype(np.float32).astype(np.float64))


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Exact multiply-add rounded once; the operands here keep every sum within the 64 bits of a long double."""
    return (a.astype(np.longdouble) * b.astype(np.longdouble) + c.astype(np.longdouble)).astype(np.float32)


@pytest.mark.parametrize("unsigned", [False, True])
def test_residual_add_on_all_pairs(unsigned: bool) -> None:
    rng = np.random.default_rng(3)
    low = 0 if unsigned else -128
    a, b = (m.ravel() for m in np.meshgrid(np.arange(low, low + 256), np.arange(low, low + 256)))
    for draw in range(60):
        sa, sb, sc = np.exp2(rng.uniform(-7, 0, 3)).astype(np.float32)
        if draw % 3 == 0:
            sb = sc = sa
        elif draw % 3 == 1:
            sa, sb, sc = np.exp2(rng.integers(-6, 0, 3)).astype(np.float32)
        za, zb, zc = (np.float32(z) for z in rng.integers(low, low + 256, 3))
        ra, rb = sa / sc, sb / sc
        f = zc - _fma(ra, za, rb * zb)
        expected = np.clip(np.rint(_fma(a.astype(np.float32), ra, _fma(b.astype(np.float32), rb, f))), -511, 511)
        got = arithmetic.residual_add(a, b, *arithmetic.encode_add(ra, rb, f))
        np.testing.assert_array_equal(got, expected.astype(np.int64), err_msg=f"draw {draw}")


def test_ordered_average_sum_is_float32() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        scale, zero = np.float32(np.exp2(rng.uniform(-9, 1))), int(rng.integers(-128, 128))
        multiplier, exponent = arithmetic.split_float(scale)
        x = rng.integers(-128, 128, (49, 200))
        total, expected = np.zeros(200, np.int64), np.zeros(200, np.float32)
        for row in x:
            total = arithmetic.average_step(total, arithmetic.average_terms(row, zero, multiplier))
            expected = expected + scale * (row - zero).astype(np.float32)
        np.testing.assert_array_equal(np.ldexp(total.astype(np.float64), exponent), expected)


@pytest.mark.parametrize("value", [-1.0, np.inf, np.nan])
def test_scale_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(EncodingError, match="must be finite and not negative"):
        arithmetic.encode_scale(value)
