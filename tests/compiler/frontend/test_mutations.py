"""Damaged models are refused with an ArrayloomError, or run and equal ONNX Runtime; no other outcome."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import differing
from interpreter import interpret
from mutations import damage_bytes, mutate
from networks import Network
from qdq import to_qdq
from random_graphs import generate
from verification import random_values

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.config import load_config
from arrayloom.isa.errors import ArrayloomError

BASES = 12
BATCH = 50
SHORT, LONG = 300, 10_000


def _islands() -> onnx.ModelProto:
    """A QDQ network with what the random graphs lack: SiLU, a dequantized bias, Resize, Pad, Concat, Slice and a softmax."""
    net = Network()
    rng = np.random.default_rng(5)
    parameters = [net.constant(np.full(4, 0.02, np.float32)), net.constant(np.zeros(4, np.int8))]
    weight = net.node("DequantizeLinear", [net.constant(rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)), *parameters],
                      axis=0)
    bias = net.node("DequantizeLinear", [net.constant(rng.integers(-9, 9, 4).astype(np.int32)),
                                         net.constant(np.full(4, np.float32(0.5) * np.float32(0.02))),
                                         net.constant(np.zeros(4, np.int32))], axis=0)
    x = net.dequantize(net.quantize("x", 0.5, 3), 0.5, 3)
    conv = net.dequantize(net.quantize(net.node("Conv", [x, weight, bias], pads=[1, 1, 1, 1]), 0.5, 3), 0.5, 3)
    gate = net.node("Mul", [conv, net.node("Sigmoid", [conv])])
    real = net.dequantize(net.quantize(gate, 0.5, 3), 0.5, 3)
    larger = net.node("Resize", [real, "", net.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest")
    padded = net.node("Pad", [larger, net.constant(np.array([0, 0, 1, 0, 0, 0, 0, 1]))])
    part = net.node("Slice", [padded, *(net.constant(np.array([v])) for v in (1, 3, 1))])
    both = net.quantize(net.node("Concat", [padded, part], axis=1), 0.5, 3)
    flat = net.node("Flatten", [net.dequantize(both, 0.5, 3)])
    net.node("Softmax", [flat], "y", axis=1)
    return net.model({"x": (np.float32, ["N", 3, 5, 6])}, ["y"])


def _base(index: int) -> onnx.ModelProto:
    if index % 3 == 0:
        return _islands()
    model = generate(index)
    return to_qdq(model) if index % 3 == 1 else model


def _check(source: Any) -> bool:
    """Whether the model runs; if so, asserts that it equals ONNX Runtime."""
    try:
        imported = import_model(source)
        compile_graph(imported.graph, load_config("tiny"))
        inputs = random_values(imported.graph)
        expected = Reference(imported.lowered).run_all(inputs)
    except ArrayloomError as error:
        assert str(error).strip()
        return False
    assert differing(interpret(imported.graph, inputs), expected) == []
    return True


def _mutations(seeds: range, folder: Path) -> int:
    """The number of damaged models that run."""
    count = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        base = _base(int(rng.integers(BASES)))
        if rng.integers(10) == 0:
            path, what = folder / "damaged.onnx", "bytes"
            path.write_bytes(damage_bytes(base.SerializeToString(), rng))
            source: Any = path
        else:
            source, what = mutate(base, rng, int(rng.integers(1, 4)))
        try:
            count += _check(source)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {what}: {type(error).__name__}: {error}") from error
    return count


@pytest.mark.parametrize("first", range(0, SHORT, BATCH))
def test_mutations(first: int, tmp_path: Path) -> None:
    assert 0 < _mutations(range(first, first + BATCH), tmp_path) < BATCH


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SHORT, SHORT + LONG, LONG // 10))
def test_many_mutations(first: int, tmp_path: Path) -> None:
    assert _mutations(range(first, first + LONG // 10), tmp_path)


def test_all_bases_run() -> None:
    assert all(_check(_base(index)) for index in range(BASES))
