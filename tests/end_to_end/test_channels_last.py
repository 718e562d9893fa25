"""Channels-last networks, from images to outputs, through compiler, emulator, session and bundle."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from channels_last import FIRST, LAST, ChannelsLast, FloatChannelsLast, draw
from networks import Network
from PIL import Image
from verification import assert_exact

from arrayloom import Session
from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.runtime import Session as Runtime
from arrayloom.host.models.quantize import Calibration, Port, quantize
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.serving import Bundle
from arrayloom.host.vision import RecipeError, recipe
from arrayloom.isa.host_steps import Quantize

KINDS = ("conv", "max_pool", "add", "concat", "hard_swish", "squeeze_and_excite")


@pytest.mark.parametrize("seed", range(200, 206))
def test_every_tensor_is_exact(seed: int) -> None:
    model = ChannelsLast(seed, KINDS).sketch("N", integer_input=seed % 4 < 2, count=5)
    assert_exact(model, inputs=draw(model, seed))


def test_a_session_takes_and_gives_channels_last() -> None:
    model = ChannelsLast(211, KINDS).sketch("N", integer_input=False, count=4)
    inputs = draw(model, 0, 2)
    with Session(model, config="tiny", backend="emulator") as session:
        outputs = session.run(inputs)
    for name, value in Runtime(model, optimize=False).run(inputs).items():
        np.testing.assert_array_equal(outputs[name], value)


@pytest.mark.parametrize("seed", range(300, 308))
def test_float_networks_are_quantized_with_channels_first_inside(seed: int) -> None:
    """All operators but those at the border run on the accelerator, and its tensors equal ONNX Runtime's."""
    kinds = (*KINDS, "pad", "excite", "resize", "rows")
    model = FloatChannelsLast(seed, kinds).sketch("N", integer_input=False, count=5)
    images = draw(model, seed, 4)
    quantized = quantize(model, Calibration.from_arrays(images)).model
    assert not any(import_model(quantized).graph.host.to_json()[part] for part in ("head", "tail"))
    assert_exact(quantized, inputs={name: values[:1] for name, values in images.items()})


def _network(extent: int, dtype: type | None) -> onnx.ModelProto:
    """One Conv on images [extent, extent, 3] of ``dtype``, or of float."""
    net = Network(17)
    scale, zero, kind = (1 / 64, -8, np.int8) if dtype is None or dtype is np.int8 else (1 / 64, 120, np.uint8)
    value = "image" if dtype else net.quantize("image", scale, zero, kind)
    first = net.node("Transpose", [net.dequantize(value, scale, zero, kind)], perm=FIRST)
    weight = net.dequantize(net.constant(np.ones((2, 3, 1, 1), np.int8)), 0.25, 0, np.int8)
    last = net.node("Transpose", [net.node("Conv", [first, weight])], perm=LAST)
    net.quantize(last, scale, zero, kind, "y")
    return net.model({"image": (dtype or np.float32, ["N", extent, extent, 3])}, ["y"])


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


@pytest.mark.parametrize("dtype", [None, np.int8, np.uint8])
def test_images_are_laid_out_and_encoded_for_the_input(photograph: Path, dtype: type | None) -> None:
    """The recipe's values, channels last; for an integer input, through the scale of its first DequantizeLinear."""
    program = compile_model(_network(32, dtype), config="tiny")
    values = load_inputs(photograph, program.model_inputs, "cifar10")["image"]
    real = recipe("cifar10").apply(np.asarray(Image.open(photograph))).transpose(0, 2, 3, 1)
    if dtype is None:
        np.testing.assert_array_equal(values, real)
        assert program.model_inputs[0].encoding is None
    else:
        encoding = Quantize(1 / 64, -8 if dtype is np.int8 else 120, np.dtype(dtype).name)
        assert program.model_inputs[0].encoding == encoding
        np.testing.assert_array_equal(values, encoding.apply(real))


def test_a_recipe_that_keeps_pixels_gives_bytes_the_pixels(photograph: Path) -> None:
    net = _network(48, np.int8)
    net.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 40
    program = compile_model(net, config="tiny")
    values = load_inputs(photograph, program.model_inputs, "none")["image"]
    np.testing.assert_array_equal(values[0], np.asarray(Image.open(photograph)).astype(np.int16) - 128)


def test_a_bundle_holds_how_its_input_is_laid_out(tmp_path: Path) -> None:
    program = compile_model(_network(32, np.int8), config="tiny")
    Bundle.create("net", program, recipe="cifar10").save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle").program
    assert loaded.inputs == program.inputs
    assert loaded.model_inputs[0].encoding == program.model_inputs[0].encoding == Quantize(1 / 64, -8, "int8")
    with pytest.raises(RecipeError, match=r"makes \[1, 224, 224, 3\], but the model's input is \[N, 32, 32, 3\]"):
        Bundle.create("net", program, recipe="imagenet")


def test_photographs_calibrate_a_network_of_channels_last(photograph: Path) -> None:
    calibration = Calibration.from_folder(photograph.parent, "cifar10")
    (feed,) = calibration.feeds([Port("image", (32, 32, 3))])
    real = recipe("cifar10").apply(np.asarray(Image.open(photograph)))
    np.testing.assert_array_equal(feed["image"], real.transpose(0, 2, 3, 1))
