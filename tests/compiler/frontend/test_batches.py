"""Models with a fixed batch: the import loops over it, and ``arrayloom quantize`` opens it."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import Network
from qdq_network import QdqNetwork, check

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.batch import open_batch

Build = Callable[[Network, str, int], str]


def _ints(net: Network, *values: int) -> str:
    return net.constant(np.array(values, np.int64))


def _resized(net: Network, x: str, batch: int) -> str:
    return net.node("Resize", [x, "", "", _ints(net, batch, 4, 12, 9)], mode="nearest", nearest_mode="floor",
                    coordinate_transformation_mode="asymmetric")


def _concatenated(net: Network, x: str, batch: int) -> str:
    planes = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype(np.float32)
    return net.node("Concat", [x, net.constant(np.repeat(planes, batch, axis=0))], axis=1)


def _offset(net: Network, x: str, batch: int) -> str:
    """A constant with as many channels as images, through a Reshape that does not depend on the batch."""
    flat = net.constant(np.arange(batch * 4, dtype=np.float32))
    grid = net.node("Reshape", [flat, _ints(net, batch, 4)])
    total = net.node("ReduceSum", [grid, _ints(net, 0)], keepdims=0)
    return net.node("Add", [x, net.node("Reshape", [total, _ints(net, 1, 4, 1, 1)])])


def _repeated(net: Network, x: str, batch: int) -> str:
    row = np.random.default_rng(0).normal(size=(1, 4, 1, 1)).astype(np.float32)
    return net.node("Add", [x, net.constant(np.repeat(row, batch, axis=0))])


BATCHED: dict[str, Build] = {
    "Reshape": lambda net, x, batch: net.node("Reshape", [x, _ints(net, batch, -1)]),
    "Reshape, allowzero": lambda net, x, batch: net.node("Reshape", [x, _ints(net, batch, 4, 36)], allowzero=1),
    "Reshape of a constant": _offset,
    "Flatten": lambda net, x, batch: net.node("Flatten", [x], axis=0 if batch == 1 else 1),
    "Resize to sizes": _resized,
    "Expand": lambda net, x, batch: net.node("Expand", [net.node("GlobalMaxPool", [x]), _ints(net, batch, 4, 5, 3)]),
    "Slice": lambda net, x, batch: net.node("Slice", [x, _ints(net, 0, 1), _ints(net, batch, 5), _ints(net, 0, 2)]),
    "Concat with a constant": _concatenated,
    "Add of a constant": _repeated,
    "Tile": lambda net, x, _: net.node("Tile", [x, _ints(net, 1, 1, 2, 1)]),
}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("build", BATCHED.values(), ids=BATCHED)
def test_opening_the_batch(build: Build, batch: int) -> None:
    """For 3 images, the opened model gives the fixed model's result for each."""
    net = Network(14)
    build_output = build(net, "x", batch)
    net.node("Identity", [build_output], "y")
    fixed = net.model({"x": (np.float32, [batch, 4, 6, 6])}, ["y"])
    images = np.random.default_rng(1).normal(size=(3, 4, 6, 6)).astype(np.float32)
    opened = _run(open_batch(fixed, batch), images)
    assert len(opened) == 3
    for image, got in zip(images, opened, strict=True):
        np.testing.assert_array_equal(_run(fixed, np.repeat(image[np.newaxis], batch, axis=0))[0], got)


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": x})
    return np.asarray(result)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_a_loop(batch: int) -> None:
    net = QdqNetwork(14)
    resized = net.node(
        "Resize", [net.real, "", "", _ints(net, batch, 4, 12, 12)], mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric")
    conv = net.rounded(net.node("Conv", [resized, net.weight(6, 4, 3, 3)], strides=[2, 2]))
    flat = net.node("Reshape", [conv, _ints(net, batch, 6, -1)], allowzero=1)
    mean = net.node("Reshape", [net.node("ReduceMean", [flat], axes=[2]), _ints(net, batch, 6)])
    dense = net.node("Gemm", [net.rounded(mean), net.weight(5, 6)], transB=1)
    imported = check(net.finished(dense, 4, 6, 6, batch=batch))
    assert imported.graph.notes == [] if batch == 1 else [
        "the batch, fixed at 4 in the model, is compiled as a loop over images"]


def test_a_batch_that_moves_is_refused() -> None:
    net = QdqNetwork()
    mixed = net.node("Reshape", [net.real, _ints(net, 2, 8, 6, 6)])
    with pytest.raises(ModelError, match="the batch is fixed, and some node depends on it: export the model for a batch of"):
        import_model(net.finished(mixed, 4, 6, 6, batch=4))
