"""Vectors of TensorFlow 1's preprocessing, computed by TensorFlow itself: `python make.py`, with tensorflow-cpu installed.

Images are seeded noise as PNG, which every decoder reads alike; of each result every STEP-th value is kept.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
VECTORS = HERE / "vectors.npz"
STEP = 331
MEANS = (123.68, 116.779, 103.939)

# image height, width; order, scaling factor, output height, width, aspect ratio preserved
CASES = [
    (300, 401, "RGB", 1.0, 224, 224, True),
    (57, 40, "RGB", 0.017, 224, 224, True),
    (40, 57, "BGR", 1.0, 224, 224, True),
    (256, 256, "RGB", 1.0, 224, 224, True),
    (331, 97, "RGB", 1.0, 224, 250, True),     # 97 * (256 / 97) is less than 256 in float32
    (123, 357, "BGR", 0.017, 200, 240, True),
    (61, 200, "RGB", 1.0, 1, 224, True),
    (375, 500, "RGB", 1.0, 300, 300, False),
    (33, 50, "BGR", 0.017, 300, 300, False),
    (500, 333, "RGB", 1.0, 96, 160, False),
]


def picture(height: int, width: int) -> bytes:
    """A PNG of seeded noise."""
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def compute(height, width, order, scaling_factor, output_height, output_width, preserve):
    """float32 [1, output_height, output_width, 3] by TensorFlow."""
    import tensorflow as tf

    image = tf.cast(tf.image.decode_png(picture(height, width), channels=3), tf.float32)
    size = (output_height, output_width)
    if preserve:
        scale = tf.constant(256.0) / tf.cast(min(height, width), tf.float32)
        size = [int(tf.cast(tf.cast(side, tf.float32) * scale, tf.int32)) for side in (height, width)]
    image = tf.compat.v1.image.resize_bilinear(image[tf.newaxis], size, align_corners=False, half_pixel_centers=False)
    if preserve:
        top, left = (size[0] - output_height) // 2, (size[1] - output_width) // 2
        image = tf.image.crop_to_bounding_box(image, top, left, output_height, output_width)
    means = tf.constant(MEANS)
    if order == "BGR":
        image, means = tf.reverse(image, [3]), tf.reverse(means, [0])
    return ((image - means) * scaling_factor).numpy()


def main() -> None:
    np.savez_compressed(VECTORS, **{str(number): compute(*case).reshape(-1)[::STEP] for number, case in enumerate(CASES)})


if __name__ == "__main__":
    main()
