"""Small float networks with seeded random weights, one for each property that a quantizer must preserve."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from networks import Network
from numpy.typing import NDArray

CHANNELS, SIDE = 6, 12

Floats = NDArray[np.float32]


class FloatNetwork(Network):
    """A network with input ``data`` float32 [N, 6, 12, 12], under construction."""

    def __init__(self, opset: int = 13) -> None:
        super().__init__(opset)
        self.random = np.random.default_rng(7)

    def weights(self, *shape: int) -> str:
        return self.constant(self.random.normal(scale=np.sqrt(2 / np.prod(shape[1:])), size=shape).astype(np.float32))

    def offsets(self, *shape: int) -> str:
        return self.constant(self.random.normal(scale=0.2, size=shape).astype(np.float32))

    def factors(self, *shape: int) -> str:
        return self.constant(self.random.uniform(0.5, 1.5, shape).astype(np.float32))

    def conv(self, x: str, inputs: int = CHANNELS, outputs: int = CHANNELS, kernel: int = 3, pad: int = 1,
             **more: Any) -> str:
        group = more.get("group", 1)
        return self.node("Conv", [x, self.weights(outputs, inputs // group, kernel, kernel), self.offsets(outputs)],
                         kernel_shape=[kernel] * 2, pads=[pad] * 4, **more)

    def normalize(self, x: str, channels: int = CHANNELS) -> str:
        parameters = [self.factors(channels), self.offsets(channels), self.offsets(channels), self.factors(channels)]
        return self.node("BatchNormalization", [x, *parameters])

    def finish(self, x: str, outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
        return self.model({"data": (np.float32, ["N", CHANNELS, SIDE, SIDE])}, [x, *outputs])

    def classify(self, x: str, channels: int = CHANNELS) -> onnx.ModelProto:
        """Global mean and a classifier with ten classes."""
        flat = self.node("Flatten", [self.node("GlobalAveragePool", [x])])
        return self.finish(self.node("Gemm", [flat, self.weights(10, channels), self.offsets(10)], transB=1))


def images(count: int, seed: int = 3) -> Floats:
    """Float32 [count, 6, 12, 12], roughly normally distributed."""
    return np.random.default_rng(seed).normal(size=(count, CHANNELS, SIDE, SIDE)).astype(np.float32)


def folded_normalization() -> onnx.ModelProto:
    n = FloatNetwork()
    return n.classify(n.node("Relu", [n.normalize(n.conv("data"))]))


def normalization_before_relu() -> onnx.ModelProto:
    """As in a DenseNet, with the concatenation before it."""
    n = FloatNetwork()
    joined = n.node("Concat", ["data", n.conv("data")], axis=1)
    real = n.node("Relu", [n.normalize(joined, 2 * CHANNELS)])
    return n.classify(n.node("Relu", [n.conv(real, 2 * CHANNELS)]))


def normalization_before_conv() -> onnx.ModelProto:
    n = FloatNetwork()
    return n.classify(n.conv(n.normalize(n.node("MaxPool", ["data"], kernel_shape=[2, 2])), pad=0))


def normalization_before_padded_conv() -> onnx.ModelProto:
    n = FloatNetwork()
    return n.classify(n.conv(n.normalize(n.node("MaxPool", ["data"], kernel_shape=[2, 2]))))


def residual() -> onnx.ModelProto:
    n = FloatNetwork()
    return n.classify(n.node("Relu", [n.node("Add", [n.conv("data"), n.conv(n.node("Relu", [n.conv("data")]))])]))


def residual_before_activation() -> onnx.ModelProto:
    """The sum is used both directly and through its Relu: the two must stay separate values."""
    n = FloatNetwork()
    total = n.node("Add", [n.conv("data"), "data"])
    return n.classify(n.node("Add", [total, n.conv(n.node("Relu", [total]))]))


def sum_of_three() -> onnx.ModelProto:
    n = FloatNetwork()
    return n.classify(n.node("Sum", [n.conv("data"), n.conv("data"), "data"]))


def activations() -> onnx.ModelProto:
    """Element-wise functions, some written as several nodes, and clips within and beyond zero."""
    n = FloatNetwork(opset=14)
    x = n.node("LeakyRelu", [n.conv("data")], alpha=0.1)
    x = n.node("HardSwish", [n.conv(x)])
    x = n.node("Clip", [n.conv(x), n.constant(np.float32(0)), n.constant(np.float32(6))])
    x = n.conv(x)
    x = n.node("Mul", [x, n.node("Sigmoid", [x])])
    x = n.node("Clip", [n.conv(x), n.constant(np.float32(0.1)), n.constant(np.float32(0.9))])
    return n.classify(n.node("Tanh", [n.conv(x)]))


def normalized_input() -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.node("Div", [n.node("Sub", ["data", n.offsets(1, CHANNELS, 1, 1)]), n.factors(1, CHANNELS, 1, 1)])
    return n.classify(n.conv(x))


def pools() -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.node("MaxPool", [n.conv("data")], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = n.node("AveragePool", [n.conv(x)], kernel_shape=[2, 2], strides=[2, 2])
    mean = n.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
    product = n.node("MatMul", [mean, n.weights(CHANNELS, 10)])
    return n.finish(n.node("Softmax", [n.node("Add", [product, n.offsets(10)])], axis=1))


def movements() -> onnx.ModelProto:
    n = FloatNetwork()
    ends = [n.constant(np.array(v, np.int64)) for v in ([0, 0], [99, 99], [2, 3], [2, 2])]
    x = n.node("Slice", [n.conv("data"), *ends])
    x = n.node("Pad", [x, n.constant(np.array([0, 2, 0, 0, 0, 1, 0, 0], np.int64)), n.constant(np.float32(0))])
    return n.classify(n.node("Relu", [n.conv(x, CHANNELS + 3)]))


def factors_of_gemm() -> onnx.ModelProto:
    n = FloatNetwork()
    flat = n.node("Flatten", [n.node("AveragePool", ["data"], kernel_shape=[SIDE, SIDE])])
    x = n.node("Gemm", [flat, n.weights(CHANNELS, 8), n.offsets(1, 8)], alpha=0.5, beta=2.0)
    x = n.node("Gemm", [n.node("Relu", [x]), n.weights(10, 8)], transB=1)
    return n.finish(n.node("Gemm", [n.node("Relu", [x]), n.weights(10, 10), n.offsets()], transB=1))


def several_outputs() -> onnx.ModelProto:
    n = FloatNetwork()
    features = n.node("Relu", [n.conv("data")])
    return n.finish(n.conv(features, outputs=4), (features,))


def pruned_channels() -> onnx.ModelProto:
    """Two channels whose weights are zero, and one whose weights are tiny: only their bias is left."""
    n = FloatNetwork()
    x = n.conv("data")
    weight, bias = n.initializers[n.nodes[-1].input[1]], n.initializers[n.nodes[-1].input[2]]
    weight[1:3], weight[3] = 0, weight[3] * np.float32(1e-12)
    bias[1:4] = [0.37, 0.0, 0.73]
    return n.finish(x)


def grouped() -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.node("Relu", [n.conv("data", group=CHANNELS)])
    return n.classify(n.node("Relu", [n.conv(x, group=2)]))


def squeeze_and_excite() -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.node("Relu", [n.conv("data")])
    gate = n.node("Sigmoid", [n.conv(n.node("GlobalAveragePool", [x]), kernel=1, pad=0)])
    return n.classify(n.conv(n.node("Mul", [x, gate])))


def upsampling() -> onnx.ModelProto:
    n = FloatNetwork()
    x = n.node("Relu", [n.conv("data")])
    wide = n.node("Resize", [x, "", n.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
                  coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    raised = n.node("ConvTranspose", [x, n.weights(CHANNELS, CHANNELS, 2, 2), n.offsets(CHANNELS)], kernel_shape=[2, 2],
                    strides=[2, 2])
    return n.classify(n.node("Add", [n.conv(wide), n.normalize(raised)]))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    maker.__name__: maker
    for maker in (
        folded_normalization,
        normalization_before_relu,
        normalization_before_conv,
        normalization_before_padded_conv,
        residual,
        residual_before_activation,
        sum_of_three,
        activations,
        normalized_input,
        pools,
        movements,
        factors_of_gemm,
        several_outputs,
        pruned_channels,
        grouped,
        squeeze_and_excite,
        upsampling,
    )
}
