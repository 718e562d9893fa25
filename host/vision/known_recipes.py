"""The named recipes."""

from functools import partial

from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.letterbox import CornerLetterbox, Letterbox
from arrayloom.host.vision.recipe_type import Channels, Recipe
from arrayloom.host.vision.resize import PlainResize, Resampling, ResizeShortest, ResizeTo, SlimResize

# Per-channel statistics of ImageNet's training images, RGB, as published with torchvision's models.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

SLIM_MEAN = (123.68, 116.779, 103.939)
"""Mean of ImageNet's pixels, RGB, as subtracted by TF-Slim's networks such as VGG."""

DENSENET_SCALE = 0.017

_RECIPES = (
    Recipe(
        name="imagenet",
        description="shorter side to 256, centre crop 224x224, RGB, /255, ImageNet's mean and deviation (torchvision)",
        resize=ResizeShortest(256),
        crop=224,
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    ),
    Recipe(
        name="imagenet-caffe",
        description="resize to 256x256, centre crop 227x227, BGR 0..255 minus 104, 117, 123 (Caffe; SqueezeNet 1.0)",
        resize=ResizeTo(256, 256, Resampling.BILINEAR),
        crop=227,
        channels=Channels.BGR,
        mean=(104, 117, 123),
    ),
    Recipe(
        name="cifar10",
        description="shorter side to 32, centre crop 32x32, RGB, /255, ImageNet's mean and deviation (ResNet-20)",
        resize=ResizeShortest(32),
        crop=32,
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    ),
    Recipe(
        name="digits",
        description="mean over blocks to 8x8, grey, /255: bright strokes on a dark ground (the digits network)",
        resize=ResizeTo(8, 8, Resampling.BOX),
        channels=Channels.GREY,
        divisor=255,
    ),
    Recipe(
        name="slim",
        description="smaller side to 256 by TensorFlow 1's bilinear, centre 224x224, RGB minus 123.68, 116.779, 103.939",
        resize=SlimResize(224, 224),
        mean=SLIM_MEAN,
    ),
    Recipe(
        name="slim-densenet",
        description="as slim, times 0.017 (DenseNet)",
        resize=SlimResize(224, 224),
        mean=SLIM_MEAN,
        scale=DENSENET_SCALE,
    ),
    Recipe(
        name="slim-ssd",
        description="to 300x300 by TensorFlow 1's bilinear, RGB minus 123.68, 116.779, 103.939 (SSD300)",
        resize=PlainResize(300, 300),
        mean=SLIM_MEAN,
    ),
    Recipe(
        name="ssd300",
        description="to 300x300 by bilinear without antialiasing, RGB minus 123, 117, 104 (torchvision's SSD300)",
        resize=PlainResize(300, 300, half_pixel=True),
        divisor=255,
        mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255,),
    ),
    Recipe(
        name="yolo",
        description="letterboxed to the model's size, grey 114 around, RGB, /255; uint8 inputs: 0..255 (Ultralytics' YOLO)",
        fit=Letterbox,
        divisor=255,
        normalizes_floats_only=True,
    ),
    Recipe(
        name="yolox",
        description="resized in proportion into the upper left corner of the model's size, grey 114 elsewhere, BGR 0..255 "
                    "(YOLOX)",
        fit=CornerLetterbox,
        channels=Channels.BGR,
    ),
    Recipe(
        name="ssd",
        description="stretched to the model's size, RGB, /255, ImageNet's mean and deviation; uint8 inputs: 0..255 (SSD)",
        fit=partial(PlainResize, half_pixel=True),
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        normalizes_floats_only=True,
    ),
    Recipe(
        name="ssd-mobilenet",
        description="stretched to the model's size, RGB from -1 to 1; uint8 inputs: 0..255 (SSD on MobileNet, SSDLite)",
        fit=partial(PlainResize, half_pixel=True),
        divisor=255,
        mean=(0.5,),
        std=(0.5,),
        normalizes_floats_only=True,
    ),
    Recipe(name="none", description="the image as it is: RGB 0..255 (int8 inputs: minus 128), no resizing"),
)
_BY_NAME = {recipe.name: recipe for recipe in _RECIPES}


def recipes() -> tuple[Recipe, ...]:
    """Return every recipe, in the order of listings."""
    return _RECIPES


def recipe(name: str) -> Recipe:
    """Return the recipe of this name; raises `RecipeError`, which lists the known names."""
    if name not in _BY_NAME:
        raise RecipeError(f"unknown recipe {name!r}; known are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
