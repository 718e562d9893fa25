"""Movements whose shapes and amounts the model computes from the shapes of its values, as exporters write open batches."""

from collections.abc import Callable

import numpy as np
import pytest
from networks import Network
from qdq_network import QdqNetwork, check, operators

from arrayloom.compiler.frontend.runtime import Session

SHAPE = (4, 6, 6)


def _ints(net: Network, *values: int) -> str:
    return net.constant(np.array(values, np.int64))


def _extents(net: Network, value: str, start: int, end: int) -> str:
    return net.node("Slice", [net.node("Shape", [value]), _ints(net, start), _ints(net, end), _ints(net, 0)])


def _view(net: Network, value: str, *rest: int, allowzero: int = 0) -> str:
    """`value.view(value.size(0), *rest)`."""
    target = net.node("Concat", [_extents(net, value, 0, 1), _ints(net, *rest)], axis=0)
    return net.node("Reshape", [value, target], allowzero=allowzero)


def _mean(net: QdqNetwork) -> str:
    pooled = net.node("GlobalAveragePool", [_features(net)])
    return net.node("Gemm", [net.rounded(_view(net, pooled, -1)), net.weight(5, 8)], transB=1)


def _dense(net: QdqNetwork) -> str:
    return net.node("Gemm", [_view(net, _features(net), -1, allowzero=1), net.weight(5, 8 * 16)], transB=1)


def _features(net: QdqNetwork) -> str:
    return net.rounded(net.node("Conv", [net.real, net.weight(8, 4, 3, 3)]))


def _resized(net: QdqNetwork) -> str:
    conv = net.node("Conv", [net.real, net.weight(8, 4, 3, 3)])
    doubled = net.node("Mul", [_extents(net, conv, 2, 4), _ints(net, 2)])
    sizes = net.node("Concat", [_extents(net, conv, 0, 2), doubled], axis=0)
    resized = net.node("Resize", [net.rounded(conv), "", "", sizes], mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")
    return net.node("Conv", [resized, net.weight(3, 8, 1, 1)])


def _halved(net: QdqNetwork) -> str:
    features = _features(net)
    half = net.node("Div", [_extents(net, features, 1, 2), _ints(net, 2)])
    return net.node("Conv", [net.node("Slice", [features, _ints(net, 0), half, _ints(net, 1)]), net.weight(3, 4, 1, 1)])


def _shuffled(net: QdqNetwork) -> str:
    groups = _view(net, _features(net), 2, 4, 4, 4)
    turned = net.node("Transpose", [groups], perm=[0, 2, 1, 3, 4])
    return net.node("Conv", [_view(net, turned, 8, 4, 4), net.weight(3, 8, 1, 1)])


def _expanded(net: QdqNetwork) -> str:
    features = _features(net)
    pooled = net.node("Expand", [net.node("GlobalMaxPool", [features]), net.node("Shape", [features])])
    return net.node("Concat", [net.rounded(pooled), features], axis=1)


FORMS: dict[str, tuple[Callable[[QdqNetwork], str], set[str]]] = {
    "Reshape after a mean": (_mean, {"QLinearConv", "QLinearGlobalAveragePool", "Reshape", "QGemm"}),
    "Reshape before a dense layer": (_dense, {"QLinearConv", "Reshape", "QGemm"}),
    "Resize": (_resized, {"QLinearConv", "Resize", "Shape", "Gather", "Concat"}),
    "Slice": (_halved, {"QLinearConv", "Slice"}),
    "channel shuffle": (_shuffled, {"QLinearConv", "Reshape", "Transpose"}),
    "Expand": (_expanded, {"QLinearConv", "MaxPool", "DequantizeLinear", "Expand", "QuantizeLinear", "QLinearConcat"}),
}


@pytest.mark.parametrize("batch", ["N", 1, 3])
@pytest.mark.parametrize(("build", "wanted"), FORMS.values(), ids=FORMS)
def test_shapes_computed_from_shapes(build: Callable[[QdqNetwork], str], wanted: set[str], batch: int | str) -> None:
    net = QdqNetwork(14)
    imported = check(net.finished(build(net), *SHAPE, batch=batch))
    assert set(operators(imported)) == wanted
    assert imported.graph.host.tail is None


@pytest.mark.parametrize("build", [build for build, _ in FORMS.values()], ids=FORMS)
def test_the_lowered_model_takes_several_images(build: Callable[[QdqNetwork], str]) -> None:
    net = QdqNetwork(14)
    imported = check(net.finished(build(net), *SHAPE))
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.uint8)
    session = Session(imported.lowered)
    together = session.run({"x": images})["y"]
    for image, got in zip(images, together, strict=True):
        np.testing.assert_array_equal(session.run({"x": image[np.newaxis]})["y"][0], got)
