"""Wrapping integer arithmetic becomes a table of one or two bytes: ONNX Runtime's results for every pair."""

from typing import Any

import numpy as np
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import BinaryLookup, Lookup

CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("Add", np.int8, {}), ("Sub", np.uint8, {}), ("Mul", np.int8, {}), ("BitwiseXor", np.uint8, {}),
    ("BitShift", np.uint8, {"direction": "LEFT"}),
]


@pytest.mark.parametrize(("operator", "dtype", "attributes"), CASES, ids=[case[0] for case in CASES])
def test_of_two_activations_and_of_a_constant(operator: str, dtype: Any, attributes: dict[str, Any]) -> None:
    for second in ("b", None):
        net = Network(21)
        other = second or net.constant(np.array([3], dtype))
        net.node(operator, ["a", other], "y", **attributes)
        inputs = {name: (dtype, ["N", 2, 3, 4]) for name in ("a", second) if name}
        model = net.model(inputs, ["y"])
        assert_exact(model)
        kinds = {type(op) for op in import_model(model).graph.ops}
        assert (BinaryLookup if second else Lookup) in kinds


def test_of_one_value_with_itself() -> None:
    net = Network(21)
    net.node("Mul", ["a", "a"], "y")
    assert_exact(net.model({"a": (np.uint8, ["N", 2, 3, 4])}, ["y"]))


def test_division() -> None:
    """Division by 0 is undefined, so its table entries may be anything."""
    net = Network(21)
    net.node("Div", ["a", "b"], "y")
    model = net.model({"a": (np.uint8, ["N", 2, 3, 4]), "b": (np.uint8, ["N", 2, 3, 4])}, ["y"])
    rng = np.random.default_rng(0)
    values = {name: rng.integers(1, 256, (1, 2, 3, 4)).astype(np.uint8) for name in "ab"}
    assert_exact(model, inputs=values)
