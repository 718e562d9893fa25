"""Random graphs of tokens, with attention, normalization and perceptrons, equal ONNX Runtime at every tensor."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import onnx
import pytest
from random_graphs import check, generate_tokens, random_inputs

from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.config import PRESETS

GRAPHS = 80
BLOCK = 10          # graphs per test
DRAWN = 100         # of which operators are counted

OPERATORS = {
    "QLinearMatMul", "QLinearSoftmax", "QLinearAdd", "QLinearConcat", "LayerNormalization", "QuantizeLinear",
    "DequantizeLinear", "Reshape", "Transpose", "Gather", "Split", "Erf", "Div", "Add", "Mul", "Sigmoid", "Tanh",
}


@pytest.fixture(scope="module")
def emulator() -> Device:
    return open_device("emulator", PRESETS["tiny-vit"])


def _assert_equal(seeds: Iterable[int], device: Device) -> None:
    failures = [(seed, failure) for seed in seeds if (failure := check(generate_tokens(seed), seed, device)) is not None]
    assert not failures, "\n".join(f"seed {seed}: {failure.text}" for seed, failure in failures)


@pytest.mark.parametrize("first", range(0, GRAPHS, BLOCK))
def test_graphs_equal_onnx_runtime_on_the_emulator(first: int, emulator: Device) -> None:
    _assert_equal(range(first, first + BLOCK), emulator)


@pytest.mark.slow
def test_graphs_equal_onnx_runtime_on_the_rtl() -> None:
    device = open_device("rtl", PRESETS["tiny-vit"])
    _assert_equal(range(GRAPHS, GRAPHS + BLOCK), device)
    device.close()


def test_graphs_cover_the_operators_and_do_not_saturate() -> None:
    operators: Counter[str] = Counter()
    saturated = []
    for seed in range(DRAWN):
        model = generate_tokens(seed)
        onnx.checker.check_model(model)
        operators.update({node.op_type for node in model.graph.node})
        values = Reference(model).run_all(random_inputs(model, seed)).values()
        saturated += [_saturated(value) for value in values if value.dtype in (np.uint8, np.int8)]
    assert set(operators) == OPERATORS
    assert all(count >= 10 for count in operators.values())
    assert np.mean(saturated) < 0.25


def _saturated(values: np.ndarray) -> float:
    limits = np.iinfo(values.dtype)
    return float(((values == limits.min) | (values == limits.max)).mean())


def test_a_seed_gives_the_same_bytes_again() -> None:
    assert generate_tokens(3).SerializeToString() == generate_tokens(3).SerializeToString()
