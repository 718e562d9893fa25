"""Random channels-last QDQ networks, as converters from TensorFlow write them, with Transposes around operators.

Scales are powers of two and means divide by powers of two: float arithmetic is therefore exact, and every form of a network
gives the same bytes.
"""

from collections.abc import Callable

import numpy as np
import onnx
from networks import Array, Network

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]
SCALE = 2.0**-4
CONSTANT_OUTPUTS = 5


class ChannelsLast(Network):
    """A network under construction; ``shapes`` are [H, W, C] of the dequantized values that operators may read.

    ``sketch`` draws operators of ``kinds``, then the outputs. ``dtype`` is the dtype of all activations.
    """

    def __init__(self, seed: int, kinds: tuple[str, ...], opset: int = 17) -> None:
        super().__init__(opset)
        self.rng = np.random.default_rng(seed)
        self.kinds = kinds
        self.dtype = (np.uint8, np.int8)[seed % 2]
        self.zero = 120 if self.dtype is np.uint8 else -8
        self.shapes: dict[str, tuple[int, int, int]] = {}
        self.outputs: list[str] = []

    def sketch(self, batch: int | str, integer_input: bool, count: int) -> onnx.ModelProto:
        """A network of ``count`` operators with an integer or a float input."""
        shape = (8, 8, int(self.rng.integers(2, 5)))
        value = "image" if integer_input else self._quantized("image")
        self.shapes[self._real(value)] = shape
        for _ in range(count):
            kind = str(self.rng.choice(self.kinds))
            getattr(self, kind)(*self._draw())
        self.end(*self._draw())
        dtype = self.dtype if integer_input else np.float32
        return self.model({"image": (dtype, [batch, *shape])}, self.outputs)

    def _draw(self) -> tuple[str, tuple[int, int, int]]:
        names = list(self.shapes)
        name = names[-1] if self.rng.random() < 0.7 else names[int(self.rng.integers(len(names)))]
        return name, self.shapes[name]

    def _quantized(self, value: str, output: str = "") -> str:
        return self.quantize(value, SCALE, self.zero, self.dtype, output)

    def _real(self, value: str, output: str = "") -> str:
        return self.dequantize(value, SCALE, self.zero, self.dtype, output)

    def _keep(self, value: str, shape: tuple[int, int, int]) -> None:
        """Quantizes and dequantizes a float value, and adds it to those that operators may read."""
        self.shapes[self._real(self._quantized(value))] = shape

    def _turn(self, value: str, order: list[int]) -> str:
        """A Transpose, placed before the value's DequantizeLinear if there is one, as converters also do."""
        producer = self.nodes[-1]
        if producer.output[0] == value and producer.op_type == "DequantizeLinear" and self.rng.random() < 0.5:
            return self._real(self.node("Transpose", [producer.input[0]], perm=order))
        return self.node("Transpose", [value], perm=order)

    def _around(self, value: str, shape: tuple[int, int, int], compute: Callable[[str], str]) -> None:
        """Applies ``compute`` channels-first; the Transpose back is before or after the QuantizeLinear."""
        made = compute(self._turn(value, FIRST))
        if self.rng.random() < 0.5:
            self._keep(self.node("Transpose", [made], perm=LAST), shape)
        else:
            self.shapes[self._real(self.node("Transpose", [self._quantized(made)], perm=LAST))] = shape

    def _weight(self, *shape: int, axis: int = 0) -> str:
        """A dequantized int8 weight, per tensor or per channel."""
        values = self.constant(self.rng.integers(-16, 17, shape).astype(np.int8))
        if self.rng.random() < 0.5:
            scale = 2.0 ** self.rng.integers(-8, -5, shape[axis]).astype(np.float32)
            return self.node("DequantizeLinear", [values, self.constant(scale.astype(np.float32))], axis=axis)
        return self.node("DequantizeLinear", [values, self.constant(np.float32(2.0**-7))])

    def conv(self, value: str, shape: tuple[int, int, int]) -> None:
        """Conv of 1x1 or 3x3, some with Relu."""
        made, kernel = int(self.rng.integers(2, 6)), int(self.rng.choice([1, 3]))

        def compute(first: str) -> str:
            pads = [kernel // 2] * 4
            result = self.node("Conv", [first, self._weight(made, shape[2], kernel, kernel)], pads=pads)
            return self.node("Relu", [result]) if self.rng.random() < 0.5 else result

        self._around(value, (shape[0], shape[1], made), compute)

    def max_pool(self, value: str, shape: tuple[int, int, int]) -> None:
        """MaxPool of 3x3 that keeps the size."""
        self._around(value, shape, lambda first: self.node("MaxPool", [first], kernel_shape=[3, 3], pads=[1] * 4))

    def add(self, value: str, shape: tuple[int, int, int]) -> None:
        """Add of two values of one shape, or of the value to itself through an activation."""
        others = [name for name, other in self.shapes.items() if other == shape and name != value]
        if not others:
            self.hard_swish(value, shape)
            return
        self._keep(self.node("Add", [value, others[int(self.rng.integers(len(others)))]]), shape)

    def concat(self, value: str, shape: tuple[int, int, int]) -> None:
        """Concat along the channels with any value of the same size."""
        others = [name for name, other in self.shapes.items() if other[:2] == shape[:2]]
        other = others[int(self.rng.integers(len(others)))]
        channels = shape[2] + self.shapes[other][2]
        axis = int(self.rng.choice([3, -1]))
        self._keep(self.node("Concat", [value, other], axis=axis), (*shape[:2], channels))

    def hard_swish(self, value: str, shape: tuple[int, int, int]) -> None:
        """An element-wise function."""
        self._keep(self.node("HardSwish", [value]), shape)

    def pad(self, value: str, shape: tuple[int, int, int]) -> None:
        """One row above and one column on the right, of zeros."""
        padded = self.node("Pad", [value, self.constant(np.array([0, 1, 0, 0, 0, 0, 1, 0]))])
        cut = self.node("Slice", [padded, *(self.constant(np.array(v)) for v in ([0, 1], [-1, 9], [1, -2]))])
        self._keep(cut, (shape[0], shape[1], shape[2]))

    def scale(self, value: str, shape: tuple[int, int, int]) -> None:
        """Mul by one factor per channel."""
        factors = 2.0 ** self.rng.integers(-2, 1, shape[2]).astype(np.float32)
        operands = [value, self.constant(factors.astype(np.float32))]
        self._keep(self.node("Mul", operands[:: int(self.rng.choice([1, -1]))]), shape)

    def plane(self, value: str, shape: tuple[int, int, int]) -> None:
        """Add of a dequantized constant that differs between rows and channels."""
        values = self.constant(self.rng.integers(-9, 9, (shape[0], 1, shape[2])).astype(np.int8))
        real = self.node("DequantizeLinear", [values, self.constant(np.float32(SCALE))])
        self._keep(self.node("Add", [value, real]), shape)

    def split(self, value: str, shape: tuple[int, int, int]) -> None:
        """Split into the first channel and the others, which are concatenated again in another order."""
        parts = [self.name("part"), self.name("rest")]
        sizes = self.constant(np.array([1, shape[2] - 1]))
        self.nodes.append(onnx.helper.make_node("Split", [value, sizes], parts, name=f"Split_{parts[0]}", axis=-1))
        self._keep(self.node("Concat", parts[::-1], axis=3), shape)

    def squeeze_and_excite(self, value: str, shape: tuple[int, int, int]) -> None:
        """The mean over rows and columns, a function of it, and its product with the value."""
        mean = self._real(self._quantized(self.node("ReduceMean", [value], axes=[1, 2], keepdims=1)))
        gate = self._real(self._quantized(self.node("HardSigmoid", [mean])))
        self._keep(self.node("Mul", [value, gate]), shape)

    def excite(self, value: str, shape: tuple[int, int, int]) -> None:
        """As `squeeze_and_excite`, with a Conv on the mean, [N, C] reshaped to [N, 1, 1, C]."""
        mean = self._real(self._quantized(self.node("ReduceMean", [value], axes=[1, 2], keepdims=0)))
        image = self.node("Reshape", [mean, self.constant(np.array([-1, 1, 1, shape[2]]))])
        weight = self._weight(shape[2], shape[2], 1, 1)
        conv = self.node("Conv", [self.node("Transpose", [image], perm=FIRST), weight])
        gate = self._real(self._quantized(self.node("HardSigmoid", [self._real(self._quantized(conv))])))
        self._keep(self.node("Mul", [self.node("Transpose", [gate], perm=LAST), value]), shape)

    def softmax(self, value: str, shape: tuple[int, int, int]) -> None:
        """Softmax over the channels."""
        self._keep(self.node("Softmax", [value], axis=-1), shape)

    def resize(self, value: str, shape: tuple[int, int, int]) -> None:
        """Upsampling by two, or every second row and column."""
        scales = self.constant(np.array([1, 2, 2, 1], np.float32))
        large = self.node("Resize", [value, "", scales], mode="nearest")
        bounds = [self.constant(np.array(bound)) for bound in ([0, 0], [99, 99], [1, 2], [2, 2])]
        self._keep(self.node("Slice", [large, *bounds]), shape)

    def rows(self, value: str, shape: tuple[int, int, int]) -> None:
        """Gather of the rows in reverse order."""
        self._keep(self.node("Gather", [value, self.constant(np.arange(shape[0])[::-1].copy())], axis=1), shape)

    def end(self, value: str, shape: tuple[int, int, int]) -> None:
        """Outputs: the value itself, its mean, or a matrix product of all its elements."""
        kind = str(self.rng.choice(["bytes", "float", "mean", "dense"]))
        if kind == "bytes":
            self.outputs.append(self._quantized(value, "bytes"))
        elif kind == "float":
            self.outputs.append(self._real(self._quantized(value), "float"))
        elif kind == "mean":
            keepdims = int(self.rng.choice([0, 1]))
            mean = self.node("ReduceMean", [value], axes=[1, -2], keepdims=keepdims)
            self.outputs.append(self._real(self._quantized(mean), "mean"))
        else:
            self._dense(value, int(np.prod(shape)))

    def _dense(self, value: str, features: int) -> None:
        """Reshape or Flatten, and a MatMul or Gemm."""
        flat = self._real(self._quantized(self._flattened(value, features)))
        if self.rng.random() < 0.5:
            product = self.node("Gemm", [flat, self._weight(CONSTANT_OUTPUTS, features)], transB=1)
        else:
            product = self.node("MatMul", [flat, self._weight(features, CONSTANT_OUTPUTS, axis=1)])
        self.outputs.append(self._real(self._quantized(product), "dense"))

    def _flattened(self, value: str, features: int) -> str:
        if self.rng.random() < 0.3:
            return self.node("Flatten", [value])
        return self.node("Reshape", [value, self.constant(np.array([-1, features]))])


def draw(model: onnx.ModelProto, seed: int, count: int = 1) -> dict[str, Array]:
    """Random values for the network's input; multiples of the scale for a float input."""
    value = model.graph.input[0]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    shape = [count, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])]
    rng = np.random.default_rng(seed)
    if dtype == np.float32:
        return {value.name: (rng.integers(-100, 100, shape) * SCALE).astype(np.float32)}
    limits = np.iinfo(dtype)
    return {value.name: rng.integers(limits.min, limits.max + 1, shape).astype(dtype)}


class FloatChannelsLast(ChannelsLast):
    """The same networks in float, before they are quantized."""

    def sketch(self, batch: int | str, integer_input: bool, count: int) -> onnx.ModelProto:
        """A network of ``count`` operators; ``integer_input`` has no effect here."""
        model = super().sketch(batch, integer_input, count)
        for value in [*model.graph.input, *model.graph.output]:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        return model

    def _quantized(self, value: str, output: str = "") -> str:
        return self.node("Identity", [value], output or None)

    def _real(self, value: str, output: str = "") -> str:
        return self.node("Identity", [value], output or None)

    def _turn(self, value: str, order: list[int]) -> str:
        return self.node("Transpose", [value], perm=order)

    def _weight(self, *shape: int, axis: int = 0) -> str:
        return self.constant(self.rng.normal(0, 0.3, shape).astype(np.float32))
