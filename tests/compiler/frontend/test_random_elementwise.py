"""Random networks of operators on several activations, constants and reductions, with widely different scales.

Every tensor is exact, interpreted and on the emulator.
"""

from typing import Any

import numpy as np
import pytest
from interpreter import interpret
from networks import Network
from qdq_cases import ON_THE_DEVICE
from verification import random_values

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config

BINARY = ("Add", "Sub", "Mul", "Max", "Min", "Div", "distance", "gate")
REDUCTIONS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
OPSET = 17


class Drawn(Network):
    """Values of one shape [C, H, W], or broadcastable to it, each quantized and dequantized."""

    def __init__(self, seed: int) -> None:
        super().__init__(OPSET)
        self.rng = np.random.default_rng(seed)
        self.dtype: Any = self.rng.choice([np.uint8, np.int8])
        self.shape = tuple(int(extent) for extent in self.rng.integers(1, 7, 3))
        self.shapes = {name: self._input_shape(place) for place, name in enumerate("ab")}
        self.values = [self._closed(name) for name in "ab"]

    def _input_shape(self, place: int) -> tuple[int, ...]:
        spread = place and self.rng.random() < 0.3
        return (self.shape[0], 1, 1) if spread else self.shape

    def _quantization(self) -> tuple[float, int]:
        scale = 2.0 ** self.rng.integers(-7, 1) if self.rng.random() < 1 / 3 else np.exp(self.rng.uniform(-6, 1))
        low = 0 if self.dtype == np.uint8 else -128
        return float(np.float32(scale)), int(self.rng.integers(low, low + 256))

    def _closed(self, name: str) -> str:
        return self.dequantize(name, *self._quantization(), self.dtype)

    def _integer(self, real: str, output: str = "") -> str:
        name = output or self.name("integer")
        scale, zero = self._quantization()
        self.quantize(real, scale, zero, self.dtype, name)
        return self.dequantize(name, scale, zero, self.dtype)

    def step(self) -> None:
        """Adds a value."""
        a, b = self.values[0], self.values[int(self.rng.integers(1, len(self.values)))]
        operands = [a, b] if self.rng.random() < 0.5 else [b, a]
        kind = self.rng.choice([*BINARY, "constant", "Concat"])
        if kind == "constant":
            kind = self.rng.choice(["Add", "Sub", "Mul"])
            made = self.node(str(kind), self.rng.permutation([a, self._constant()]).tolist())
        elif kind == "Concat":
            joined = self._integer(self.node("Concat", [a, self._constant(full=True)], axis=1))
            first = [self.constant(np.array([value])) for value in (0, self.shape[0], 1)]
            made = self.node("Slice", [joined, *first])
        elif kind == "distance":
            made = self.node("Abs", [self.node("Sub", operands)])
        elif kind == "gate":
            made = self.node("Mul", [operands[0], self.node("Sigmoid", [operands[1]])])
        else:
            made = self.node(str(kind), operands)
        activation = self.rng.choice(["", "Relu", "scaled"])
        if activation == "Relu":
            made = self.node("Relu", [made])
        elif activation == "scaled":
            made = self.node("Mul", [made, self.constant(np.float32(self.rng.uniform(0.2, 3)))])
        self.values.insert(0, self._integer(made))

    def _constant(self, full: bool = False) -> str:
        extents = [1, *self.shape] if full else [1, *(int(self.rng.choice([1, extent])) for extent in self.shape)]
        info = np.iinfo(self.dtype)
        values = self.rng.integers(info.min, info.max + 1, extents).astype(self.dtype)
        return self._closed(self.constant(values))

    def finish(self) -> None:
        """Finishes the network, sometimes with a reduction."""
        real = self.values[0]
        if self.rng.random() < 0.5:
            axes = sorted(self.rng.choice([1, 2, 3], int(self.rng.integers(1, 4)), replace=False).tolist())
            operator = str(self.rng.choice(REDUCTIONS))
            if operator == "ReduceSum":
                real = self.node(operator, [real, self.constant(np.array(axes))], keepdims=1)
            else:
                real = self.node(operator, [real], axes=axes, keepdims=1)
        self.quantize(real, *self._quantization(), self.dtype, "y")


def _check(seed: int) -> None:
    net = Drawn(seed)
    for _ in range(int(net.rng.integers(1, 4))):
        net.step()
    net.finish()
    used = {name for node in net.nodes for name in node.input}
    model = net.model({name: (net.dtype, [1, *shape]) for name, shape in net.shapes.items() if name in used}, ["y"])
    imported = import_model(model, ON_THE_DEVICE)
    values = random_values(imported.graph, seed)
    expected = Reference(imported.lowered).run_all(values)
    found = interpret(imported.graph, values)
    compared = expected.keys() & found.keys()
    assert {output.tensor for output in imported.graph.outputs} <= compared, seed
    for name in compared:
        assert np.array_equal(expected[name].ravel(), found[name].ravel()), (seed, name)
    config = load_config("tiny")
    verifier = Verifier(imported, compile_graph(imported.graph, config), open_device("emulator", config))
    assert verifier.verify(values).first_difference is None, seed


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_networks(first: int) -> None:
    for seed in range(first, first + 10):
        _check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1200, 20))
def test_many_random_networks(first: int) -> None:
    for seed in range(first, first + 20):
        _check(seed)


def test_an_operand_of_one_pixel_that_is_repeated() -> None:
    """The windows of its convolution do not move."""
    _check(1142)


def test_a_network_that_runs_only_as_its_dimensions_are() -> None:
    """In the accelerator's layout, a function of two tensors would move one of them."""
    _check(1087)
