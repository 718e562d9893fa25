"""Letterboxes: the place of the picture, the border, and the mapping of points back to the picture."""

import io

import numpy as np
import pytest
from PIL import Image

from arrayloom.host.vision import ImageError, RecipeError, input_size, preprocess, recipe, recipes
from arrayloom.host.vision.decode import image_size, load_image
from arrayloom.host.vision.geometry import Geometry

SIZES = [(480, 640), (641, 333), (97, 1001), (1, 1000), (1000, 1), (64, 96), (7, 5), (640, 640)]
INPUTS = [(640, 640), (96, 160), (64, 64), (33, 47)]


@pytest.mark.parametrize("shape", INPUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["yolo", "yolox", "ssd"])
def test_points_come_back_within_a_pixel_of_the_input(name, size, shape):
    """Pixels encode their position: undoing the geometry of a point must give the position that the tensor shows."""
    rows, columns = np.mgrid[:size[0], :size[1]]
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0], image[..., 1] = np.rint(rows * 250 / max(size)), np.rint(columns * 250 / max(size))
    chosen = recipe(name).fitted(*shape)
    tensor = chosen.apply(image)[0]
    place = chosen.geometry(*size)
    assert tensor.shape == (3, *shape)
    y = np.clip([place.top, place.top + place.height / 3, place.top + place.height - 1], 0, shape[0] - 1).astype(int)
    x = np.clip([place.left, place.left + place.width / 3, place.left + place.width - 1], 0, shape[1] - 1).astype(int)
    red, green = {"yolo": (0, 1), "yolox": (2, 1), "ssd": (0, 1)}[name]
    scale = {"yolo": 255, "yolox": 1, "ssd": None}[name]
    for row, column in zip(y, x, strict=True):
        if scale is None:
            mean, std = np.array([0.485, 0.456]), np.array([0.229, 0.224])
            shown = (tensor[[red, green], row, column] * std + mean) * 255
        else:
            shown = tensor[[red, green], row, column] * scale
        centre = np.array([[(row + 0.5) / shape[0], (column + 0.5) / shape[1]] * 2], np.float32)
        placed = place.undo(centre)[0, :2] * size - 0.5
        wanted = np.clip(placed, 0, np.array(size) - 1) * 250 / max(size)
        pixel = 250 / max(size) * np.maximum(1, np.array(size) / [place.height, place.width])
        assert np.all(np.abs(shown - wanted) <= pixel + 1), (row, column)


@pytest.mark.parametrize(("size", "shape", "wanted"), [
    ((480, 640), (640, 640), (80, 0, 480, 640)),
    ((641, 333), (640, 640), (0, 154, 640, 332)),     # 333 * 640 / 641 = 332.48; 308 columns of grey
    ((97, 1001), (640, 640), (289, 0, 62, 640)),
    ((200, 100), (32, 32), (0, 8, 32, 16)),
    ((5, 4), (10, 9), (0, 0, 10, 8)),                 # one column of grey, on the right
    ((1, 1000), (64, 64), (31, 0, 1, 64)),            # the side of 0.064 pixels becomes one pixel
])
def test_place_is_that_of_ultralytics(size, shape, wanted):
    assert recipe("yolo").fitted(*shape).geometry(*size) == Geometry(shape, *wanted)


def test_grey_is_around_and_the_picture_inside():
    image = np.full((10, 20, 3), (10, 20, 30), np.uint8)
    tensor = recipe("yolo").fitted(40, 40).apply(image)[0]
    assert np.all(tensor[:, :10] == np.float32(114) / np.float32(255))
    assert np.all(tensor[:, 30:] == np.float32(114) / np.float32(255))
    assert np.all(tensor[:, 10:30] == (np.array([10, 20, 30], np.float32) / np.float32(255))[:, np.newaxis, np.newaxis])
    tensor = recipe("yolox").fitted(40, 50).apply(image)[0]
    assert np.all(tensor[:, 25:] == 114)
    assert np.all(tensor[:, :25] == np.array([30, 20, 10])[:, np.newaxis, np.newaxis])


def test_integer_inputs_get_pixels():
    image = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    pixels = recipe("yolo").fitted(40, 40).apply(image, np.uint8)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0, :, 10:30], image.transpose(2, 0, 1))
    np.testing.assert_array_equal(recipe("ssd").fitted(20, 40).apply(image, np.uint8)[0], image.transpose(2, 0, 1))
    np.testing.assert_array_equal(recipe("yolo").fitted(40, 40).apply(image, np.int8), (pixels.astype(int) - 128))


def encoded(height, width, image_format="PNG", **options):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, image_format, **options)
    return file.getvalue()


def test_the_size_is_the_models():
    data = encoded(30, 50)
    for name in ("yolo", "yolox", "ssd", "ssd-mobilenet"):
        assert preprocess(data, name, ["N", 3, 64, 96]).shape == (1, 3, 64, 96)
        for shape in (["N", 3, "height", "width"], ["N", 10]):
            with pytest.raises(RecipeError, match=f"recipe {name} makes the model's height and width"):
                preprocess(data, name, shape)
        with pytest.raises(RecipeError, match=r"\.fitted\(640, 640\)"):
            preprocess(data, name)
        with pytest.raises(RecipeError, match=r"\.fitted\(640, 640\)"):
            recipe(name).apply(np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(RecipeError, match=r"\.fitted\(640, 640\)"):
            recipe(name).geometry(4, 4)


def test_channels_last_are_made_and_placed():
    data = encoded(30, 50)
    last, first = (preprocess(data, "yolo", shape) for shape in (["N", 64, 96, 3], ["N", 3, 64, 96]))
    np.testing.assert_array_equal(last, first.transpose(0, 2, 3, 1))
    assert input_size((1, 64, 96, 3)) == input_size((1, 3, 64, 96)) == (64, 96)
    assert input_size((1, 3, 96, 3)) == (96, 3)         # channels first if both would fit
    assert input_size((1, 10)) is input_size(("N", 3, "H", "W")) is None
    with pytest.raises(RecipeError, match="the model's input is \\[N, 64, 96, 3\\]"):
        preprocess(data, "cifar10", ["N", 64, 96, 3])


@pytest.mark.parametrize("name", [each.name for each in recipes()])
def test_every_recipe_says_where_the_picture_lies(name):
    chosen = recipe(name).fitted(64, 80)
    place = chosen.geometry(300, 401)
    assert chosen.apply(np.zeros((300, 401, 3), np.uint8)).shape[2:] == place.canvas


def test_crops_are_undone():
    place = recipe("imagenet").geometry(512, 1024)
    assert place == Geometry((224, 224), -16, -144, 256, 512)
    whole = np.array([[0, 0, 1, 1]], np.float32)
    np.testing.assert_allclose(place.undo(whole), [[16 / 256, 144 / 512, 240 / 256, 368 / 512]], rtol=1e-6)


def test_stretching_leaves_boxes_bit_for_bit():
    boxes = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert recipe("slim-ssd").geometry(480, 640).undo(boxes).tobytes() == boxes.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_from_the_header_are_those_of_upright_pictures(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(20, 30, "JPEG", exif=exif)
    assert image_size(data) == load_image(data).shape[:2]


def test_headers_that_are_none(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="is not a JPEG, PNG or BMP"):
        image_size(tmp_path / "text.png")
    with pytest.raises(ImageError, match="cannot be read"):
        image_size(tmp_path / "absent.png")


@pytest.mark.parametrize("shape", INPUTS)
@pytest.mark.parametrize("size", [*SIZES, (1281, 1279)])
def test_pixels_are_opencvs_within_one(size, shape):
    """Compared with ``LetterBox`` and ``preproc`` written with OpenCV, if it is installed; it is no dependency."""
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for name in ("yolo", "yolox"):
        chosen = recipe(name).fitted(*shape)
        top, left, height, width = chosen.geometry(*size)[1:]
        wanted = np.full((*shape, 3), 114, np.uint8)
        wanted[top:top + height, left:left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        made = chosen.apply(image)[0].transpose(1, 2, 0)
        made = np.rint(made * 255) if name == "yolo" else made[..., ::-1]
        assert np.abs(made - wanted).max() <= 1
