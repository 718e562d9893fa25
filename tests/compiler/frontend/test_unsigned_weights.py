"""Products of uint8 activations and int8 weights equal ONNX Runtime's exact ones on every CPU."""

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.frontend.unsigned_weights import with_unsigned_weights

DEPTH = 64


def _product(columns: int, zero_points: np.ndarray, activations: str = "uint8") -> tuple[onnx.ModelProto, np.ndarray]:
    """A matrix product, with pairs of products that exceed 16 bits, and its weights."""
    net = Network()
    weights = np.random.default_rng(columns).integers(100, 128, (DEPTH, columns)).astype(np.int8)
    one, scale = net.constant(np.float32(1)), net.constant(np.float32(DEPTH * 127 * 4))
    zero = net.constant(np.zeros((), activations))
    net.node("QLinearMatMul", ["x", one, zero, net.constant(weights), one, net.constant(zero_points), scale, zero], "y")
    return net.model({"x": (np.dtype(activations), [1, DEPTH])}, ["y"]), weights


@pytest.mark.parametrize("columns", [1, 3, 16, 17])
def test_products_do_not_saturate(columns: int) -> None:
    model, weights = _product(columns, np.zeros((), np.int8))
    expected = np.rint(np.float32(255) * weights.astype(np.float32).sum(0) / np.float32(DEPTH * 127 * 4))
    assert np.array_equal(Session(model).run({"x": np.full((1, DEPTH), 255, np.uint8)})["y"][0], expected)


@pytest.mark.parametrize("read_elsewhere", ["", "by the model's output", "by a branch's output"])
def test_weights_that_nothing_else_reads_are_left_out(read_elsewhere: str) -> None:
    model, weights = _product(3, np.zeros((), np.int8))
    (name,) = {t.name for t in model.graph.initializer if list(t.dims) == list(weights.shape)}
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, weights.shape)
    if read_elsewhere == "by the model's output":
        model.graph.output.append(value)
    elif read_elsewhere:
        branch = onnx.helper.make_graph([], "branch", [], [value])
        model.graph.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))
    raised = with_unsigned_weights(model)
    held = {t.name: onnx.numpy_helper.to_array(t) for t in raised.graph.initializer if list(t.dims) == list(weights.shape)}
    assert np.array_equal(held.pop(f"{name}/unsigned").astype(int), weights.astype(int) + 128)
    assert set(held) == ({name} if read_elsewhere else set())


@pytest.mark.parametrize(("zero_points", "activations"), [
    (np.arange(3, dtype=np.int8), "uint8"), (np.zeros((), np.int8), "int8")])
def test_other_products_stay_as_they_are(zero_points: np.ndarray, activations: str) -> None:
    model, _ = _product(3, zero_points, activations)
    assert with_unsigned_weights(model) is model
