"""Whole networks through the quantizer: trained networks against their float originals, and the light models of onnx."""

from pathlib import Path

import numpy as np
import pytest
from exact import assert_exact
from light_models import light_model, pictures

from arrayloom.host.models.quantize import Calibration, Quantized, compare_classes, load_classes, quantize
from arrayloom.host.vision import recipe

CIFAR = "cifar10_lossless_130.npz"


def _no_float_between_integers(quantized: Quantized) -> None:
    """Only element-wise operators stand between DequantizeLinear and QuantizeLinear, and none if they can be folded."""
    readers = {name: node for node in quantized.model.graph.node for name in node.input}
    for node in quantized.model.graph.node:
        if node.op_type == "DequantizeLinear" and node.output[0] in readers:
            assert readers[node.output[0]].op_type in ("BatchNormalization", "Softmax", "Flatten", "Shape")


@pytest.mark.parametrize(("name", "correct"), [("densenet_bc_40_12_cifar10_fp32", 126), ("resnet20_cifar10_fp32", 123)])
def test_cifar_networks_keep_their_classes(shared_data: Path, name: str, correct: int) -> None:
    calibration = Calibration.from_npz(shared_data / CIFAR, "cifar10")
    quantized = quantize(shared_data / "models" / f"{name}.onnx", calibration)
    found = compare_classes(quantized, calibration, load_classes(shared_data / CIFAR, calibration))
    assert found.images == 130
    assert found.same_class >= 126
    assert found.correct_before == correct
    _no_float_between_integers(quantized)
    pixels = np.load(shared_data / CIFAR)["x_uint8_nhwc"][17:18]
    assert_exact(quantized.model, np.concatenate([recipe("cifar10").apply(image) for image in pixels]), "16x16")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_resnet50_keeps_its_classes(shared_data: Path, method: str) -> None:
    calibration = Calibration.from_folder(shared_data / "images", "imagenet")
    quantized = quantize(shared_data / "models" / "resnet50_fp32.onnx", calibration, method)
    found = compare_classes(quantized, calibration, None)
    assert found.images == 24
    assert found.same_class >= 22
    _no_float_between_integers(quantized)
    feed = next(calibration.feeds(quantized.prepared.ports))
    assert_exact(quantized.model, feed["data"], "32x32")


@pytest.mark.parametrize("name", ["squeezenet", *(pytest.param(name, marks=pytest.mark.slow)
                                                  for name in ("resnet50", "densenet121", "vgg19"))])
def test_light_models(name: str) -> None:
    """Real topologies with random weights; scores that differ by class and image show that the network is computed."""
    images = pictures(2, seed=2)
    quantized = quantize(light_model(name, seed=1), Calibration.from_arrays(images))
    first, second = (scores.ravel() for scores in assert_exact(quantized.model, images, "32x32"))
    assert first.shape == (1000,)
    for scores in (first, second):
        assert len(np.unique(scores)) > 50
    assert np.mean(first != second) > 0.5
    assert not np.allclose(first, second)
