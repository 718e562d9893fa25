"""Networks in training mode are refused, and so is a Dropout whose mask is used."""

import numpy as np
import pytest
from networks import Network

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model


def _refused(net: Network, outputs: list[str]) -> str:
    with pytest.raises(UnsupportedError) as caught:
        import_model(net.model({"x": (np.uint8, ["N", 3, 4, 4])}, outputs))
    (entry,) = caught.value.nodes
    assert "model.eval()" in entry.remedy
    return f"{entry.node}: {entry.reason}"


def test_dropout() -> None:
    for training, refused in ((True, True), (False, False)):
        net = Network(17)
        given = [net.constant(np.float32(0.3)), net.constant(np.array(training))]
        net.quantize(net.node("Dropout", [net.dequantize("x", 0.1, 3), *given], "dropped"), 0.1, 3, output="y")
        if refused:
            assert _refused(net, ["y"]) == "Dropout_dropped: it is in training mode: it drops values at random"
        else:
            import_model(net.model({"x": (np.uint8, ["N", 3, 4, 4])}, ["y"]))


def test_the_mask_of_dropout() -> None:
    net = Network(17)
    real = net.dequantize("x", 0.1, 3)
    net.node("Dropout", [real], "dropped")
    net.nodes[-1].output.append("mask")
    net.quantize("dropped", 0.1, 3, output="y")
    assert _refused(net, ["y", "mask"]) == "Dropout_dropped: its mask 'mask' is used, which exists only in training"
    import_model(net.model({"x": (np.uint8, ["N", 3, 4, 4])}, ["y"]))


def test_statistics_of_a_batch() -> None:
    net = Network(17)
    numbers = [net.constant(np.ones(3, np.float32)) for _ in range(4)]
    net.node("BatchNormalization", [net.dequantize("x", 0.1, 3), *numbers], "normal", training_mode=1)
    net.nodes[-1].output.extend(["mean", "variance"])
    net.quantize("normal", 0.1, 3, output="y")
    assert "statistics of their batch" in _refused(net, ["y"])
