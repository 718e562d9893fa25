"""Concatenations: their parts share a scale, except those that saturation clamps."""

import numpy as np
import onnx
import pytest
from exact import assert_exact
from float_networks import FloatNetwork, images

from arrayloom.host.models.quantize import Calibration, quantize

CALIBRATION = Calibration.from_arrays(images(6))


def _beside(clamp: str) -> onnx.ModelProto:
    """A clamped map, concatenated with an unclamped one."""
    n = FloatNetwork()
    bounds = [n.constant(np.float32(0)), n.constant(np.float32(0.8))] if clamp == "Clip" else []
    features = n.node(clamp, [n.conv("data"), *bounds], "features")
    return n.finish(n.conv(n.node("Concat", [features, n.conv("data")], "joined", axis=1), 12))


@pytest.mark.parametrize("clamp", ["Relu", "Clip"])
def test_a_clamped_part_keeps_a_scale_that_clamps(clamp: str) -> None:
    quantized = quantize(_beside(clamp), CALIBRATION)
    assert quantized.scales["features"][1] == 0
    assert quantized.scales["joined"][1] > 0
    assert quantized.layers[0].sqnr_db > 25, quantized.layers[0]
    assert_exact(quantized.model, images(1, 5))
