"""Float weights of quantized activations, as in QOperator models with transposed convolutions."""

from typing import Any

import numpy as np
import onnx
import pytest
from interpreter import interpret
from networks import Network

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.reference import Reference

ROUNDING = ImportOptions(HostPolicy.NONE, insert_rounding=True)
X = {"x": (np.uint8, ["N", 4, 6, 6])}


def _network(operator: str, shape: tuple[int, ...], **attributes: Any) -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    net = Network(opset=17)
    x = net.dequantize("x", 0.02, 128)
    if operator == "Gemm":
        x = net.node("Flatten", [x])
    weights = net.constant(rng.normal(0, 0.2, shape).astype(np.float32), "weights")
    bias = net.constant(rng.normal(0, 0.2, 8).astype(np.float32))
    net.quantize(net.node(operator, [x, weights, bias], "real", **attributes), 0.04, 120, output="y")
    return net.model(X, ["y"])


CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("ConvTranspose", (4, 8, 2, 2), {"strides": [2, 2]}), ("ConvTranspose", (4, 4, 3, 3), {"group": 2}),
    ("Conv", (8, 4, 3, 3), {}), ("Conv", (8, 2, 3, 3), {"group": 2}), ("Gemm", (144, 8), {}),
    ("Gemm", (8, 144), {"transB": 1})]


@pytest.mark.parametrize(("operator", "shape", "attributes"), CASES)
def test_they_are_rounded_where_that_is_permitted(operator: str, shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    model = _network(operator, shape, **attributes)
    imported = import_model(model, ROUNDING)
    (rounding,) = imported.graph.inserted_roundings
    assert (rounding.value, rounding.node, rounding.dtype) == ("weights", f"{operator}_real", "int8")
    assert any("1 weights" in notice and "'weights'" in notice for notice in imported.graph.notices)
    given = {"x": np.random.default_rng(4).integers(0, 256, (1, 4, 6, 6)).astype(np.uint8)}
    found = interpret(imported.graph, given)["y"]
    assert np.array_equal(found.ravel(), Reference(imported.lowered).run(given)["y"].ravel())
    distance = np.abs(found.ravel().astype(int) - Session(model).run(given)["y"].ravel().astype(int))
    assert distance.max() <= 2


def test_without_permission_they_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="its weights 'weights' are float"):
        import_model(_network("ConvTranspose", (4, 8, 2, 2)), ImportOptions(HostPolicy.NONE))
