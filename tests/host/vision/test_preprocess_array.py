"""``preprocess_array`` and its recipes against values computed by TensorFlow, and the refusal of each bad argument."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arrayloom.host.vision import ImageError, RecipeError, preprocess, preprocess_array

_MAKER = Path(__file__).parent / "tensorflow_vectors" / "make.py"
_spec = importlib.util.spec_from_file_location("tensorflow_vectors", _MAKER)
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)

CASES = pytest.mark.parametrize("number", range(len(make.CASES)), ids=["-".join(map(str, case)) for case in make.CASES])


def ours(height, width, order, scaling_factor, output_height, output_width, preserve):
    return preprocess_array(make.picture(height, width), order, scaling_factor, output_height, output_width, preserve)


@CASES
def test_equals_tensorflows_values(number):
    with np.load(make.VECTORS) as vectors:
        wanted = vectors[str(number)]
    case = make.CASES[number]
    result = ours(*case)
    assert result.dtype == np.float32
    assert result.shape == (1, *case[4:6], 3)
    np.testing.assert_array_equal(result.reshape(-1)[::make.STEP], wanted)


@CASES
@pytest.mark.tensorflow
def test_equals_tensorflow_at_every_value(number):
    pytest.importorskip("tensorflow", reason="tensorflow-cpu has an environment of its own")
    np.testing.assert_array_equal(ours(*make.CASES[number]), make.compute(*make.CASES[number]))


@pytest.mark.parametrize(("name", "arguments"), [
    ("slim", {}),
    ("slim-densenet", {"scaling_factor": 0.017}),
    ("slim-ssd", {"output_height": 300, "output_width": 300, "preserve_aspect_ratio": False}),
])
def test_recipes_are_the_same_rule_with_channels_first(name, arguments):
    image = make.picture(211, 340)
    np.testing.assert_array_equal(preprocess(image, name), preprocess_array(image, **arguments).transpose(0, 3, 1, 2))


def test_one_image_or_several():
    images = [make.picture(50, 60), make.picture(70, 40)]
    both = preprocess_array(images, output_height=32, output_width=48)
    assert both.shape == (2, 32, 48, 3)
    for image, row in zip(images, both, strict=True):
        np.testing.assert_array_equal(preprocess_array(image, output_height=32, output_width=48)[0], row)


def test_paths_too(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(make.picture(30, 40))
    for source in (path, str(path), [path]):
        np.testing.assert_array_equal(preprocess_array(source), preprocess_array(path.read_bytes()))


@pytest.mark.parametrize(("height", "width"), [(300, 300), (260, 800), (1000, 20), (256, 257)])
def test_outputs_beyond_256_with_the_aspect_preserved(height, width):
    """The image is first enlarged in proportion."""
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 200
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    result = preprocess_array(file.getvalue(), output_height=height, output_width=width) + np.float32(make.MEANS)
    assert result.shape == (1, height, width, 3)
    scale = max(256 / 100, height / 100, width / 200)
    assert abs(float(result.mean()) - 100) < 100 * scale / width    # the edge stays in the middle
    steep = np.abs(np.diff(result[0, height // 2, :, 0])).max()
    assert steep == pytest.approx(200 / scale, rel=0.1)         # one pixel of the image is `scale` pixels wide


def test_ssd300_is_torchs_interpolation():
    """Half-pixel centres, no antialiasing: halving averages pairs, doubling repeats the border."""
    pixels = np.random.default_rng(4).integers(0, 256, (600, 150, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    result = preprocess(file.getvalue(), "ssd300")[0] + 255 * np.float32([0.48235, 0.45882, 0.40784]).reshape(3, 1, 1)
    rows = pixels.astype(float).reshape(300, 2, 150, 3).mean(axis=1)
    np.testing.assert_allclose(result[:, :, 0], rows[:, 0].T, atol=1e-3)
    np.testing.assert_allclose(result[:, :, 1], (0.75 * rows[:, 0] + 0.25 * rows[:, 1]).T, atol=1e-3)
    np.testing.assert_allclose(result[:, :, 299], rows[:, 149].T, atol=1e-3)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"order": "GBR"}, "order 'GBR': unknown; known are RGB, BGR"),
    ({"output_height": 0}, "output_height 0: must be a whole number of pixels, at least 1"),
    ({"output_width": 2.5}, r"output_width 2\.5: must be a whole number"),
    ({"output_width": True}, "output_width True: must be a whole number"),
    ({"scaling_factor": float("nan")}, "scaling_factor nan: must be a finite number"),
    ({"output_width": 10**6}, "more than the 67,108,864 pixels accepted"),
])
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(RecipeError, match=message):
        preprocess_array(make.picture(8, 8), **arguments)


def test_images_that_are_none():
    with pytest.raises(RecipeError, match="holds no image"):
        preprocess_array([])
    with pytest.raises(ImageError, match="is not a JPEG"):
        preprocess_array([make.picture(8, 8), b"text"])
