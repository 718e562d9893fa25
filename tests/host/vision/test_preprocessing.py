"""Preprocessing: recipes against independently written formulas, decoding, and the refusal of each bad input."""

import io
import re
import struct
import zlib

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from arrayloom.host.vision import MAX_PIXELS, ImageError, RecipeError, load_image, preprocess, recipe, recipes
from arrayloom.host.vision.recipe_type import PIXEL_RECIPES
from arrayloom.host.vision.resize import ResizeShortest
from arrayloom.isa.errors import ArrayloomError


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(pixels, image_format="PNG", **options):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, image_format, **options)
    return file.getvalue()


def png_header(width, height, colour_type=2, depth=8):
    """A PNG that declares a size and contains no pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def triangle(length, new_length):
    """The matrix of antialiased bilinear resampling: a triangle as wide as the source step, centred on each pixel."""
    step = length / new_length
    reach = max(step, 1.0)
    centres = (np.arange(new_length) + 0.5) * step
    weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centres[:, np.newaxis]) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


def bilinear(image, height, width):
    matrices = triangle(image.shape[0], height), triangle(image.shape[1], width)
    return np.einsum("yh,xw,hwc->yxc", *matrices, image, optimize=True)


# Recipes


def test_listing_names_every_recipe_once():
    names = [each.name for each in recipes()]
    assert names[:5] == ["imagenet", "imagenet-caffe", "cifar10", "digits", "slim"]
    assert names[5:] == ["slim-densenet", "slim-ssd", "ssd300", "yolo", "yolox", "ssd", "ssd-mobilenet", "none"]
    assert [recipe(name) for name in names] == list(recipes())
    assert all(each.description for each in recipes())


@pytest.mark.parametrize(("width", "left"), [(256, 16), (257, 16), (258, 17), (259, 18), (300, 38)])
def test_imagenet_crops_the_centre_and_normalizes(width, left):
    image = noise(256, width)
    tensor = preprocess(encoded(image), "imagenet", [None, 3, 224, 224])
    crop = image[16:240, left : left + 224].transpose(2, 0, 1) / 255
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    assert tensor.dtype == np.float32
    assert tensor.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(tensor[0], (crop - mean) / std, atol=1e-6)


def test_normalization_rounds_after_every_step():
    image = np.full((256, 256, 3), 77, np.uint8)
    value = (np.float32(77) / np.float32(255) - np.float32(0.485)) / np.float32(0.229)
    assert recipe("imagenet").apply(image)[0, 0, 0, 0] == value


@pytest.mark.parametrize(
    ("size", "resized"),
    [((300, 401), (256, 342)), ((401, 300), (342, 256)), ((100, 199), (256, 509)), ((256, 1000), (256, 1000))],
)
def test_shorter_side_becomes_256_and_the_other_is_rounded_down(size, resized):
    assert ResizeShortest(256)(noise(*size)).shape == (*resized, 3)


@pytest.mark.parametrize(("height", "width"), [(331, 500), (480, 300), (90, 120)])
def test_imagenet_resizes_with_an_antialiased_triangle(height, width):
    image = noise(height, width, seed=1)
    scale = 256 / min(height, width)
    resized = bilinear(image, int(height * scale + 1e-9), int(width * scale + 1e-9))
    top, left = (round((side - 224) / 2) for side in resized.shape[:2])
    wanted = resized[top : top + 224, left : left + 224].transpose(2, 0, 1)
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    levels = (preprocess(encoded(image), "imagenet")[0] * std + mean) * 255
    # Pillow rounds to 8 bits after each of its two passes.
    assert np.abs(levels - wanted).max() < 1.1


def test_imagenet_caffe_is_blue_first_and_unscaled():
    image = noise(256, 256, seed=2)
    tensor = preprocess(encoded(image), "imagenet-caffe", ["N", 3, 227, 227])
    crop = image[14:241, 14:241].astype(np.float32)
    wanted = np.stack([crop[:, :, 2] - 104, crop[:, :, 1] - 117, crop[:, :, 0] - 123])
    np.testing.assert_array_equal(tensor[0], wanted)


def test_imagenet_caffe_ignores_the_aspect_ratio():
    image = noise(300, 500, seed=3)
    wanted = bilinear(image, 256, 256)[14:241, 14:241, 2] - 104
    assert np.abs(recipe("imagenet-caffe").apply(image)[0, 0] - wanted).max() < 1.1


def test_cifar10_keeps_32_by_32_pixels():
    image = noise(32, 32, seed=4)
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    tensor = preprocess(encoded(image), "cifar10", ["N", 3, 32, 32])
    np.testing.assert_allclose(tensor[0], (image.transpose(2, 0, 1) / 255 - mean) / std, atol=1e-6)


def test_digits_is_the_mean_over_blocks():
    grey = np.random.default_rng(5).integers(0, 256, (16, 24), np.uint8)
    tensor = preprocess(encoded(grey), "digits", ["N", 1, 8, 8])
    np.testing.assert_allclose(tensor[0, 0] * 255, grey.reshape(8, 2, 8, 3).mean(axis=(1, 3)), atol=1.01)


def test_digits_brings_an_enlarged_picture_back():
    grey = np.random.default_rng(6).integers(0, 256, (8, 8), np.uint8)
    small, large = encoded(grey), encoded(np.kron(grey, np.ones((8, 8), np.uint8)))
    np.testing.assert_array_equal(preprocess(small, "digits"), preprocess(large, "digits"))
    np.testing.assert_array_equal(preprocess(small, "digits")[0, 0], grey.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("dtype", "offset"), [(np.float32, 0), (np.uint8, 0), (np.int8, -128)])
def test_none_keeps_every_pixel(dtype, offset):
    image = noise(20, 30, seed=7)
    tensor = preprocess(encoded(image), "none", [1, 3, 20, 30], dtype)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor[0], (image.transpose(2, 0, 1).astype(int) + offset).astype(dtype))


@pytest.mark.parametrize("declared", [None, [1, 3, 20, 30], ["N", 3, "H", "W"], [None, 3, 0, -1]])
def test_free_dimensions_take_any_extent(declared):
    assert preprocess(encoded(noise(20, 30)), "none", declared).shape == (1, 3, 20, 30)


# Decoding


@pytest.mark.parametrize("image_format", ["PNG", "BMP"])
def test_lossless_formats_come_back_exactly_from_path_and_bytes(image_format, tmp_path):
    image = noise(21, 34)
    path = tmp_path / "picture"
    path.write_bytes(encoded(image, image_format))
    for source in (path, str(path), path.read_bytes()):
        pixels = load_image(source)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, image)


def test_jpeg_comes_back_nearly():
    smooth = np.stack(np.meshgrid(np.arange(64), np.arange(48)), axis=-1).astype(np.uint8)
    image = np.concatenate([smooth * 3, smooth[..., :1]], axis=2)
    assert np.abs(load_image(encoded(image, "JPEG", quality=95)).astype(int) - image).max() < 12


def test_grey_palette_and_opaque_alpha_become_rgb():
    grey = noise(9, 7)[:, :, 0]
    np.testing.assert_array_equal(load_image(encoded(grey)), np.stack([grey] * 3, axis=2))
    indexed = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    np.testing.assert_array_equal(load_image(encoded(indexed))[0], [[10, 20, 30], [40, 50, 60]])
    image = noise(9, 7)
    opaque = np.dstack([image, np.full((9, 7), 255, np.uint8)])
    np.testing.assert_array_equal(load_image(encoded(opaque)), image)


def test_sixteen_bit_grey_keeps_the_upper_byte():
    grey = np.random.default_rng(8).integers(0, 65536, (5, 6), np.uint16)
    np.testing.assert_array_equal(load_image(encoded(grey))[:, :, 1], grey // 256)


def test_cmyk_jpeg_becomes_rgb():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = load_image(encoded(red, "JPEG", quality=95)).astype(int)
    assert (np.abs(pixels - [255, 0, 0]) < 8).all()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_exif_orientation_is_applied(image_format):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    pixels = load_image(encoded(image, image_format, exif=exif))
    assert pixels.shape == (32, 16, 3)
    assert pixels[:15].min() > 240
    assert pixels[17:].max() < 15


# Errors that a user can cause


def test_errors_are_arrayloom_errors():
    assert issubclass(ImageError, ArrayloomError)
    assert issubclass(RecipeError, ArrayloomError)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(ImageError, match=f"^{re.escape(str(path))}: cannot be read .*; check the path"):
            load_image(path)


def test_nul_in_the_path():
    with pytest.raises(ImageError, match=r": cannot be read \(embedded null byte\); check the path"):
        load_image("a\0b.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give a JPEG, PNG or BMP image"),
        (b"hello", r"is not a JPEG, PNG or BMP \(it begins with the bytes 68 65 6c 6c\); convert it to one of these"),
        (encoded(noise(8, 8), "GIF"), r"is not a JPEG, PNG or BMP \(it begins with the bytes 47 49 46 38\); convert"),
        (encoded(noise(8, 8), "WEBP"), r"is not a JPEG, PNG or BMP \(it begins with the bytes 52 49 46 46\); convert"),
        (encoded(noise(8, 8), "TIFF"), r"is not a JPEG, PNG or BMP \(it begins with the bytes 49 49 2a 00\); convert"),
        (png_header(20_000, 20_000), "its pixels are more than the 67,108,864 accepted; scale the image down first"),
        (png_header(9_000, 9_000), "9000 x 9000 pixels are more than the 67,108,864 accepted; scale the image down"),
        (png_header(10_000, 10_000), "(10000 x 10000|its) pixels are more than the 67,108,864 accepted; scale"),
        (png_header(8, 8), r"damaged or truncated image \(.+\); obtain the file again"),
        (
            encoded(np.dstack([noise(4, 4), np.full((4, 4), 254, np.uint8)])),
            "has transparent pixels, whose colour is open; flatten it onto a background first",
        ),
    ],
    ids=["empty", "text", "gif", "webp", "tiff", "bomb", "large", "warned", "no pixels", "transparent"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_refused_files(content, message, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))}: {message}"):
        load_image(path)
    with pytest.raises(ImageError, match=f"^image of {len(content)} bytes: {message}"):
        load_image(content)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP"])
def test_truncated_files(image_format):
    whole = encoded(noise(40, 40), image_format)
    with pytest.raises(ImageError, match=r": damaged or truncated image \(.+\); obtain the file again$"):
        load_image(whole[: len(whole) // 2])


@pytest.mark.parametrize(("image_format", "length"), [("PNG", 9), ("JPEG", 3), ("BMP", 9)])
def test_truncated_headers(image_format, length):
    message = f": begins as a {image_format}, but its header is damaged or truncated; obtain the file again$"
    with pytest.raises(ImageError, match=message):
        load_image(encoded(noise(40, 40), image_format)[:length])


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF data")
def test_damage_anywhere_gives_pixels_or_an_image_error(image_format):
    whole = encoded(noise(12, 12), image_format, **({"exif": Image.Exif()} if image_format != "BMP" else {}))
    rng = np.random.default_rng(9)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(damaged), 200), 3):
            damaged[place] = rng.integers(0, 256)
        try:
            assert load_image(bytes(damaged)).dtype == np.uint8
        except ImageError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("name", ["imagenet", "cifar10"])
def test_extreme_aspect_ratio_is_refused_before_it_fills_the_memory(name):
    assert MAX_PIXELS == 67_108_864
    with pytest.raises(RecipeError, match=r"^an image of 3000000 x 1 pixels would be resized to \d+ x \d+, more than"):
        recipe(name).apply(np.zeros((1, 3_000_000, 3), np.uint8))


def test_unknown_recipe_lists_the_known_ones():
    known = ", ".join(each.name for each in recipes())
    with pytest.raises(RecipeError, match=f"^unknown recipe 'imagnet'; known are {known}$"):
        preprocess(encoded(noise(4, 4)), "imagnet")


@pytest.mark.parametrize(
    ("name", "declared", "message"),
    [
        ("digits", ["N", 3, 224, 224], r"digits makes \[1, 1, 8, 8\], but .* is \[N, 3, 224, 224\]; choose another"),
        ("imagenet", [1, 224, 224, 4], r"imagenet makes \[1, 3, 224, 224\], but .* is \[1, 224, 224, 4\]; choose"),
        ("none", ["N", 3, 32, 32], r"none makes \[1, 3, 4, 5\], but .* is \[N, 3, 32, 32\]; resize the image first"),
        ("none", [3, 4, 5], r"none makes \[1, 3, 4, 5\], but the model's input is \[3, 4, 5\]"),
        ("none", [2, 3, 4, 5], r"none makes \[1, 3, 4, 5\], but the model's input is \[2, 3, 4, 5\]"),
    ],
)
def test_shape_that_does_not_fit_the_model(name, declared, message):
    with pytest.raises(RecipeError, match=f"^recipe {message}"):
        preprocess(encoded(noise(4, 5)), name, declared)


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("imagenet", np.int8, "imagenet makes float32, but the model's input is int8; a uint8 or int8 input takes"),
        ("digits", np.uint8, "digits makes float32, but the model's input is uint8; a uint8 or int8 input takes"),
        ("none", np.float64, "none makes float32, uint8 or int8, but the model's input is float64$"),
    ],
)
def test_type_that_does_not_fit_the_model(name, dtype, message):
    with pytest.raises(RecipeError, match=f"^recipe {message}"):
        preprocess(encoded(noise(4, 5)), name, dtype=dtype)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_apply_takes_only_rgb_bytes(image):
    with pytest.raises(RecipeError, match=r"^an image must be uint8 \[H, W, 3\], not .*; use load_image$"):
        recipe("none").apply(image)


# Published networks on real photographs


def session(path):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def top1(network, tensor):
    (scores,) = network.run(None, {network.get_inputs()[0].name: tensor})
    return np.asarray(scores).reshape(len(tensor), -1).argmax(axis=1)


@pytest.fixture(scope="module")
def resnet50(shared_data):
    return session(shared_data / "models" / "resnet50_int8_qop.onnx")


@pytest.mark.parametrize(
    ("picture", "index", "words"),
    [("snowleopardgaze.jpg", 289, "snow leopard"), ("orange.png", 950, "orange"), ("cat.bmp", 285, "Egyptian cat")],
)
def test_resnet50_sees_what_the_photograph_shows(shared_data, resnet50, picture, index, words):
    tensor = preprocess(shared_data / "images" / picture, "imagenet", resnet50.get_inputs()[0].shape)
    assert top1(resnet50, tensor) == [index]
    assert words in (shared_data / "imagenet_classes.txt").read_text().splitlines()[index]


@pytest.mark.parametrize(
    ("model", "name", "least"),
    [
        ("resnet50_int8_qop.onnx", "imagenet", 18),
        ("resnet18_int8_qop.onnx", "imagenet", 17),
        ("squeezenet1.0_int8_qop.onnx", "imagenet-caffe", 16),
    ],
)
def test_twenty_imagenet_photographs(shared_data, model, name, least):
    network = session(shared_data / "models" / model)
    paths = sorted((shared_data / "images" / "imagenet20").glob("*.jpg"))
    right = [
        top1(network, preprocess(path, name, network.get_inputs()[0].shape))[0] == int(path.stem.split("_")[2])
        for path in paths
    ]
    assert len(right) == 20
    assert sum(right) >= least


@pytest.mark.parametrize(
    ("model", "name", "dtype", "least"),
    [
        ("resnet20_cifar10_int8_qop.onnx", "cifar10", np.float32, 0.91),
        ("mlperf_tiny_resnet8_int8_qdq.onnx", "none", np.int8, 0.85),
    ],
)
def test_cifar10_images(shared_data, model, name, dtype, least):
    images = np.load(shared_data / "cifar10_lossless_130.npz")
    network = session(shared_data / "models" / model)
    tensors = [preprocess(encoded(x), name, network.get_inputs()[0].shape, dtype) for x in images["x_uint8_nhwc"]]
    assert np.mean(top1(network, np.concatenate(tensors)) == images["y"]) >= least


@pytest.mark.parametrize("name", PIXEL_RECIPES)
@pytest.mark.parametrize(("dtype", "offset"), [(np.uint8, 0), (np.int8, -128)])
def test_inputs_of_bytes_get_the_pixels_after_a_resizing(name, dtype, offset):
    image = np.random.default_rng(5).integers(0, 256, (6, 6, 3), np.uint8)
    chosen = recipe(name).fitted(4, 4)
    pixels = chosen.apply(image, dtype)
    assert pixels.dtype == dtype and pixels.shape == (1, 3, *((6, 6) if name == "none" else (4, 4)))
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (chosen.mean, chosen.std))
    real = (chosen.apply(image) / np.float32(chosen.scale) * std + mean) * np.float32(chosen.divisor)
    assert np.abs(pixels.astype(np.float32) - offset - real).max() <= 0.51


def test_the_recipes_of_pixels_are_those_named_in_messages():
    assert set(PIXEL_RECIPES) == {recipe.name for recipe in recipes() if recipe.keeps_pixels}
