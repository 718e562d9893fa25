"""Quantize Keras networks by TensorFlow Lite, turned into ONNX: python -m benchmarks.producers.tensorflow_lite OUT_DIR.

Each is written with float and with int8 inputs and outputs, and also in float directly from Keras.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.producers.arguments import chosen, write_each


def conv(
    x: keras.KerasTensor, channels: int, kernel: int = 3, stride: int = 1, act: str | None = "relu6"
) -> keras.KerasTensor:
    """Convolution, normalization and activation."""
    x = layers.BatchNormalization()(layers.Conv2D(channels, kernel, stride, "same", use_bias=False)(x))
    return layers.Activation(act)(x) if act else x


def depthwise(x: keras.KerasTensor, stride: int = 1, act: str = "relu6") -> keras.KerasTensor:
    """Depthwise convolution, normalization and activation."""
    return layers.Activation(act)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)))


def mobilenet(picture: keras.KerasTensor) -> keras.KerasTensor:
    """MobileNetV2 with three blocks."""
    x = conv(picture, 8, 3, 2)
    for channels, stride in ((8, 1), (16, 2), (16, 1), (24, 2)):
        y = conv(depthwise(conv(x, 32, 1), stride), channels, 1, act=None)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    return layers.Softmax()(layers.Dense(10)(layers.GlobalAveragePooling2D()(conv(x, 48, 1))))


def mobilenet_v3(picture: keras.KerasTensor) -> keras.KerasTensor:
    """Hard swish and squeeze-and-excitation."""

    def hard_swish(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Multiply()([x, layers.Rescaling(1 / 6)(layers.ReLU(6.0)(layers.Rescaling(1.0, 3.0)(x)))])

    x = hard_swish(conv(picture, 8, 3, 2, None))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(
        layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    )
    x = hard_swish(conv(layers.Multiply()([x, gate]), 16, 3, 2, None))
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def flat(picture: keras.KerasTensor) -> keras.KerasTensor:
    """Convolutions, MaxPool, Flatten and Dense."""
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(picture))
    x = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(x))
    return layers.Dense(10)(layers.Dense(32, "relu")(layers.Flatten()(x)))


def resnet(picture: keras.KerasTensor) -> keras.KerasTensor:
    """Residual blocks, AveragePooling, explicit padding."""
    x = conv(layers.ZeroPadding2D(1)(picture), 16, 3, 2, "relu")
    for channels, stride in ((16, 1), (32, 2)):
        y = conv(conv(x, channels, 3, stride, "relu"), channels, 3, 1, None)
        other = x if x.shape == y.shape else conv(x, channels, 1, stride, None)
        x = layers.ReLU()(layers.Add()([other, y]))
    return layers.Dense(10, "softmax")(layers.Flatten()(layers.AveragePooling2D(4)(x)))


def segmentation(picture: keras.KerasTensor) -> keras.KerasTensor:
    """U-Net with transposed convolutions."""
    a = conv(picture, 8)
    b = conv(layers.MaxPooling2D()(a), 16)
    c = layers.Conv2DTranspose(8, 2, 2, "same")(b)
    return layers.Conv2D(4, 1)(conv(layers.Concatenate()([a, c]), 8))


def bilinear(picture: keras.KerasTensor) -> keras.KerasTensor:
    """Bilinear resizing between convolutions and at the end."""
    x = conv(conv(picture, 8, 3, 2), 16, 3, 2)
    x = conv(layers.UpSampling2D(2, interpolation="bilinear")(x), 8)
    return layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(3, 1)(x))


def leaky(picture: keras.KerasTensor) -> keras.KerasTensor:
    """LeakyReLU, PReLU, Concatenate, nearest resizing, two outputs of a detector."""
    x = layers.LeakyReLU(negative_slope=0.1)(conv(picture, 8, 3, 2, None))
    y = layers.PReLU(shared_axes=[1, 2])(conv(x, 16, 3, 2, None))
    z = layers.Concatenate()([layers.UpSampling2D(2)(y), x])
    return layers.Concatenate(axis=1)([layers.Reshape((-1, 6))(layers.Conv2D(18, 1)(value)) for value in (y, z)])


def espcn(picture: keras.KerasTensor) -> keras.KerasTensor:
    """Super-resolution by DepthToSpace."""
    x = layers.Conv2D(12, 3, padding="same")(conv(picture, 16, 5))
    return layers.Lambda(lambda value: tf.nn.depth_to_space(value, 2))(x)


def separable(spectrogram: keras.KerasTensor) -> keras.KerasTensor:
    """DS-CNN on one channel."""
    x = conv(spectrogram, 16, 3, 2, "relu")
    for _ in range(2):
        x = conv(depthwise(x, act="relu"), 16, 1, act="relu")
    return layers.Dense(12, "softmax")(layers.Flatten()(layers.AveragePooling2D((25, 5))(x)))


def dense(vector: keras.KerasTensor) -> keras.KerasTensor:
    """An autoencoder of matrix products."""
    x = vector
    for size in (32, 8, 32):
        x = layers.Dense(size, "relu")(x)
    return layers.Dense(64)(x)


NETWORKS: dict[str, tuple[tuple[int, ...], Callable[[keras.KerasTensor], keras.KerasTensor]]] = {
    "mobilenet": ((64, 64, 3), mobilenet),
    "mobilenet_v3": ((64, 64, 3), mobilenet_v3),
    "flat": ((64, 64, 3), flat),
    "resnet": ((64, 64, 3), resnet),
    "segmentation": ((64, 64, 3), segmentation),
    "bilinear": ((64, 64, 3), bilinear),
    "leaky": ((64, 64, 3), leaky),
    "espcn": ((64, 64, 3), espcn),
    "dscnn": ((49, 10, 1), separable),
    "dense": ((64,), dense),
}


def build(name: str) -> tuple[keras.Model, np.ndarray]:
    """The network with seeded weights and statistics of its own activations, and 16 inputs."""
    keras.utils.set_random_seed(len(name))
    shape, make = NETWORKS[name]
    given = keras.Input(shape, batch_size=1)
    network = keras.Model(given, make(given))
    data = np.random.default_rng(0).normal(0, 1, (16, *shape)).astype(np.float32)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    for value in data:
        network(value[None], training=True)
    return network, data


def to_lite(network: keras.Model, data: np.ndarray, dtype: tf.DType) -> bytes:
    """An int8 network of TensorFlow Lite, whose inputs and outputs have the dtype."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([value[None]] for value in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = dtype
    return converter.convert()


def to_onnx(model: bytes, target: Path) -> None:
    """The TensorFlow Lite model as ONNX."""
    lite = target.with_suffix(".tflite")
    lite.write_bytes(model)
    command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", lite, "--output", target, "--opset", "17"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    lite.unlink()
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def write(name: str, folder: Path) -> None:
    """One network in every form."""
    network, data = build(name)
    for mode, dtype in (("int8", tf.float32), ("int8_io", tf.int8)):
        to_onnx(to_lite(network, data, dtype), folder / f"tfl_{name}_{mode}.onnx")
    to_onnx(tf.lite.TFLiteConverter.from_keras_model(network).convert(), folder / f"tfl_{name}_float.onnx")


def main() -> None:
    """Write all networks, or those named by --only."""
    folder, names = chosen(__doc__, NETWORKS)
    write_each(names, folder, write)


if __name__ == "__main__":
    main()
