"""SSD's L2 normalization as integer operators: on the accelerator, and compared with float."""

import numpy as np
import pytest
from onnx import numpy_helper

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.host.models.networks.architectures import l2_normalize, ones
from arrayloom.host.models.networks.blueprint import Builder
from arrayloom.host.models.networks.checks import normalization_error
from arrayloom.host.models.quantize import Calibration, quantize
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config

CHANNELS = 64


@pytest.fixture(scope="module")
def network():
    """A convolution, its normalization, and a convolution that reads the result, as around SSD's conv4_3."""
    b = Builder("normalized", 12, 12)
    x = b.relu(b.conv(b.image, "first", CHANNELS, 3, padding=1))
    y = b.conv(l2_normalize(b, x), "head", 8, 3, padding=1, scaled_by="scale")
    constants = [ones(CHANNELS), numpy_helper.from_array(np.array(2, np.float32), "two")]
    blueprint = b.finish([("classes_0", y)], None, None, constants)
    rng = np.random.default_rng(0)
    values = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in blueprint.parameters.items()}
    images = rng.normal(0, 1, (6, 3, 12, 12)).astype(np.float32)
    return quantize(blueprint.model(values), Calibration.from_arrays(images)).model, images


def test_runs_on_the_accelerator_alone(network):
    model, images = network
    imported = import_model(model)
    config = load_config("tiny")
    program = compile_graph(imported.graph, config)
    device = open_device("emulator", config)
    verdict = Verifier(imported, program, device).verify({"image": images[:1]})
    assert verdict.bytes_differing == 0
    assert {"l2.squares_quantized", "l2.sum_quantized", "l2.inverse_quantized", "l2_quantized"} <= set(program.dtypes)
    assert [step.tag for step in program.outputs[0].tail] == ["dequantize"]


def test_is_near_the_float_normalization(network):
    error = normalization_error(*network)
    assert 0 < error.rms < 0.06
    assert error.rms < error.largest < 1
