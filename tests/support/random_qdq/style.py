"""The style of a quantizer: placement of its nodes, dtypes, scales and forms."""

from dataclasses import dataclass

import numpy as np

from .float_network import FloatNetwork


@dataclass(frozen=True)
class Style:
    """The style of one producer.

    Attributes
    ----------
    only_products
        Whether only inputs of products are quantized, and everything else is left in float (TensorRT's style).
    movement
        Whether results of movement have parameters of their own ("own"), those of their source ("same"), or stay
        in float ("none").
    dtypes
        Of activations: "uint8", "int8", "symmetric" (int8 with zero points of 0) or "mixed".
    scales
        "fitted" to the range, powers of two ("binary"), or equal to another value's if that fits ("equal").
    weight_dtype
        "int8", or "uint8" with a zero point.
    per_channel
        Whether weights have a scale for each output channel.
    weight_form
        Bytes and DequantizeLinear ("bytes"), or floats with both nodes ("floats").
    integer_biases
        Whether biases are int32 with DequantizeLinear, or floats.
    integer_constants
        Whether constant operands of element-wise operators are bytes with DequantizeLinear, or floats.
    many_readers
        Whether each reader has its own DequantizeLinear.
    per_channel_activations
        Whether activations before depthwise convolutions are quantized per channel.
    insert_roundings
        Whether the compiler rounds the values between products and other functions.
    """

    only_products: bool
    movement: str
    dtypes: str
    scales: str
    weight_dtype: str
    per_channel: bool
    weight_form: str
    integer_biases: bool
    integer_constants: bool
    many_readers: bool
    per_channel_activations: bool
    insert_roundings: bool


def draw(net: FloatNetwork) -> Style:
    """A style that ONNX Runtime can run: it has no kernels for int8 activations with uint8 weights."""
    dtypes = net.pick(["uint8", "uint8", "int8", "symmetric", "mixed"])
    unsigned = dtypes == "uint8" and net.chance(0.2)
    only_products = net.chance(0.25)
    return Style(
        only_products=only_products,
        movement=net.pick(["own", "same", "same", "none"]),
        dtypes=dtypes,
        scales=net.pick(["fitted", "fitted", "binary", "equal"]),
        weight_dtype="uint8" if unsigned else "int8",
        per_channel=not unsigned and net.chance(0.5),
        weight_form=net.pick(["bytes", "bytes", "floats"]),
        integer_biases=net.chance(0.6),
        integer_constants=net.chance(0.5),
        many_readers=net.chance(0.5),
        per_channel_activations=net.chance(0.15),
        insert_roundings=only_products or net.chance(0.3),
    )


@dataclass(frozen=True)
class Parameters:
    """Scale float32 and zero point, scalar or [C] along axis 1."""

    scale: np.ndarray
    zero_point: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """uint8 or int8."""
        return self.zero_point.dtype

    def bytes_of(self, values: np.ndarray) -> np.ndarray:
        """The quantized values, per tensor."""
        info = np.iinfo(self.dtype)
        return np.clip(np.rint(values / self.scale) + self.zero_point, info.min, info.max).astype(self.dtype)


def fitted(low: np.ndarray, high: np.ndarray, dtype: str, symmetric: bool, binary: bool) -> Parameters:
    """Parameters whose range contains 0 and low to high, element-wise."""
    info = np.iinfo(dtype)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    reach = np.maximum(high, -low) * 2 if symmetric else high - low
    scale = np.maximum(reach / 255, 1e-4)
    if binary:
        scale = 2.0 ** np.ceil(np.log2(scale))
    middle = np.full_like(scale, (info.max + info.min + 1) // 2)
    zero = middle if symmetric else np.clip(np.rint(info.min - low / scale), info.min, info.max)
    return Parameters(np.float32(scale), np.asarray(zero).astype(dtype))
