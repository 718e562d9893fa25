"""Averages as integer sums: where one is found, it equals the ordered float32 average of every window."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from concurrency import find_race, find_stall
from networks import Network
from numpy.typing import NDArray
from verification import assert_exact

from arrayloom.compiler.backend.exact_average import MOST_TAPS, as_sum
from arrayloom.compiler.backend.operations import Average, Sum, Taps
from arrayloom.compiler.backend.parameters import multiplier, thresholds
from arrayloom.isa.arithmetic import average_result, average_step, average_terms, encode_scale, requantize
from arrayloom.isa.config import load_config
from arrayloom.isa.instructions import Drain, Pool, PoolKind, PostInstruction

Ints = NDArray[np.int64]
SOURCE = (6, 6)


def _average(kernel: tuple[int, int], scales: tuple[float, float], zeros: tuple[int, int] = (-7, 3)) -> Average:
    return Average(Taps(kernel), x_scale=np.float32(scales[0]), x_zero=zeros[0], y_scale=np.float32(scales[1]),
                   y_zero=zeros[1], unsigned=True, count_include_pad=False)


def _result(average: Average) -> tuple[int, int]:
    rows, columns = average.taps.kernel
    return SOURCE[0] - rows + 1, SOURCE[1] - columns + 1


def _ordered(average: Average, windows: Ints) -> Ints:
    """The bytes of windows [taps, n], added in sequence."""
    terms = average_terms(windows, average.x_zero, multiplier(average))
    total = terms[0]
    for term in terms[1:]:
        total = average_step(total, term)
    return average_result(total, thresholds(average, len(windows)))


def _summed(pool: Sum, windows: Ints) -> Ints:
    scale = encode_scale(float(pool.scale))
    total = windows.sum(axis=0) + pool.bias
    own = requantize(total, np.full_like(total, scale.multiplier), np.full_like(total, scale.shift))
    return np.clip(own + pool.zero_point, -128, 127)


def _scales(count: int) -> list[tuple[float, float]]:
    rng = np.random.default_rng(7)
    return [(float(a), float(b)) for a, b in rng.uniform(0.01, 0.2, (count, 2))]


def test_all_pairs_of_bytes() -> None:
    pairs = np.stack([each.ravel() for each in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))])
    found = 0
    for scales, zeros in zip(_scales(12), product((-128, -7, 127), (-128, 3, 90, 127)), strict=True):
        average = _average((1, 2), scales, zeros)
        pool = as_sum(average, SOURCE, _result(average))
        if pool is not None:
            np.testing.assert_array_equal(_summed(pool, pairs), _ordered(average, pairs))
            found += 1
    assert found > 8


@pytest.mark.parametrize("kernel", [(2, 2), (3, 3)])
def test_windows_of_any_bytes(kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    windows = np.concatenate([rng.integers(-128, 128, (kernel[0] * kernel[1], 50_000)),
                              rng.choice([-128, 127], (kernel[0] * kernel[1], 5_000))], axis=1)
    found = 0
    for scales in _scales(4):
        average = _average(kernel, scales)
        pool = as_sum(average, SOURCE, _result(average))
        if pool is not None:
            np.testing.assert_array_equal(_summed(pool, windows), _ordered(average, windows))
            found += 1
    assert found > 2


def test_averages_whose_halves_the_order_of_additions_rounds_are_left() -> None:
    """At equal scales a mean of two and a half depends on the rounding of the float sum."""
    average = _average((2, 2), (0.0713, 0.0713))
    windows = np.random.default_rng(0).integers(-128, 128, (4, 200_000))
    totals, bytes_ = windows.sum(axis=0), _ordered(average, windows)
    order = np.argsort(totals, kind="stable")
    same_sum = np.diff(totals[order]) == 0
    assert (np.diff(bytes_[order])[same_sum] != 0).any()
    assert as_sum(average, SOURCE, _result(average)) is None


def test_a_scale_that_is_a_power_of_two_rounds_nothing() -> None:
    windows = np.random.default_rng(1).integers(-128, 128, (4, 20_000))
    for zeros in ((0, 0), (-7, 3), (5, -128)):
        average = _average((2, 2), (0.0625, 0.0625), zeros)
        pool = as_sum(average, SOURCE, _result(average))
        assert pool is not None
        np.testing.assert_array_equal(_summed(pool, windows), _ordered(average, windows))


def test_windows_beyond_the_source_or_too_many_taps_are_left() -> None:
    average = _average((2, 2), (0.0513, 0.0701))
    assert as_sum(average, SOURCE, (5, 5)) is not None
    assert as_sum(average, SOURCE, (5, 6)) is None
    before = replace(average, taps=replace(average.taps, origin=(0, -1)))
    assert as_sum(before, SOURCE, (5, 5)) is None
    assert as_sum(_average((2, 2), (1e-30, 1e30)), SOURCE, (5, 5)) is None
    assert as_sum(_average((2, 2), (1e30, 1e-30)), SOURCE, (5, 5)) is None
    large = _average((1, MOST_TAPS + 1), (0.0513, 0.0701))
    assert as_sum(large, (1, 40), (1, 4)) is None


@pytest.mark.parametrize(("made", "kind"), [(0.061, PoolKind.SUM), (0.0713, PoolKind.AVERAGE)])
def test_a_pool_of_a_network(made: float, kind: PoolKind) -> None:
    net = Network(opset=17)
    operands = [net.constant(np.float32(0.0713)), net.constant(np.uint8(120)), net.constant(np.float32(made)),
                net.constant(np.uint8(117))]
    net.node("QLinearAveragePool", ["x", *operands], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    net.node("MaxPool", ["pooled"], "y", kernel_shape=[1, 1])
    program, _ = assert_exact(net.model({"x": (np.uint8, ["N", 9, 8, 6])}, ["y"]), "tiny")
    kinds = {instruction.kind for instruction in program if isinstance(instruction, Pool)}
    assert kind in kinds and len(kinds & {PoolKind.SUM, PoolKind.AVERAGE}) == 1


@pytest.mark.parametrize("config", ["tiny", "edge"])
def test_an_average_with_thresholds_runs_along_with_the_convolution_before_it(config: str) -> None:
    net = Network(opset=17)
    quantization = [net.constant(np.float32(0.0713)), net.constant(np.uint8(120))]
    weight = net.constant(np.random.default_rng(5).integers(-127, 128, (9, 4, 3, 3)).astype(np.int8))
    weights = [weight, net.constant(np.float32(0.006)), net.constant(np.int8(0))]
    net.node("QLinearConv", ["x", *quantization, *weights, *quantization], "made", pads=[1] * 4)
    net.node("QLinearAveragePool", ["made", *quantization, *quantization], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    net.node("MaxPool", ["pooled"], "y", kernel_shape=[1, 1])
    program, _ = assert_exact(net.model({"x": (np.uint8, ["N", 4, 24, 26])}, ["y"]), config)
    posts = [instruction for instruction in program if isinstance(instruction, PostInstruction)]
    first = next(place for place, each in enumerate(posts) if isinstance(each, Pool) and each.kind == PoolKind.AVERAGE)
    assert any(isinstance(each, Drain) for each in posts[first:])
    assert find_stall(program, load_config(config)) is None
    assert [find_race(program, load_config(config), speeds) for speeds in range(2)] == [None] * 2
