"""Float islands: DequantizeLinear, movements and element-wise functions, QuantizeLinear."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .draw import Array
from .fit import draw_style, scale_near, zero_for
from .movement import apply_cuts, cut_operands, draw_cuts, draw_padding, padding_operand
from .sketch import Sketch, Value


@dataclass(frozen=True)
class Island:
    """A float value inside an island: its name and its sample."""

    name: str
    real: Array

    def through(self, sketch: Sketch, operator: str, real: Array, *more: str, **attributes: object) -> "Island":
        """The result of one more node."""
        return Island(sketch.node(operator, [self.name, *more], **attributes), real)


#: From this size on, ONNX Runtime 1.32 moves a DequantizeLinear after a Slice and adds a QuantizeLinear of the wrong dtype
#: to it: it cannot load such a model.
UNMOVED_OPSET = 21

Part = Callable[[Sketch, Island], Island]


def _relu(sketch: Sketch, x: Island) -> Island:
    return x.through(sketch, "Relu", np.maximum(x.real, 0))


def _clip(sketch: Sketch, x: Island) -> Island:
    spread = float(np.abs(x.real).max()) or 1.0
    low = sketch.draw.pick([0.0, -spread / 2])
    high = sketch.draw.pick([6.0, spread / 2])
    bounds = [sketch.constant("bound", np.float32(value)) for value in (low, high)]
    return x.through(sketch, "Clip", np.clip(x.real, low, high), *bounds)


def _sigmoid(sketch: Sketch, x: Island) -> Island:
    return x.through(sketch, "Sigmoid", 1 / (1 + np.exp(-np.clip(x.real, -50, 50))))


def _hard_sigmoid(sketch: Sketch, x: Island) -> Island:
    alpha, beta = sketch.draw.pick([(0.2, 0.5), (1 / 6, 0.5)])
    return x.through(sketch, "HardSigmoid", np.clip(x.real * alpha + beta, 0, 1), alpha=alpha, beta=beta)


def _hard_swish(sketch: Sketch, x: Island) -> Island:
    return x.through(sketch, "HardSwish", x.real * np.clip(x.real / 6 + 0.5, 0, 1))


def _leaky_relu(sketch: Sketch, x: Island) -> Island:
    alpha = sketch.draw.log_uniform(0.01, 1)
    return x.through(sketch, "LeakyRelu", np.where(x.real > 0, x.real, x.real * alpha), alpha=alpha)


def _tanh(sketch: Sketch, x: Island) -> Island:
    return x.through(sketch, "Tanh", np.tanh(x.real))


def _arithmetic(sketch: Sketch, x: Island, shape: tuple[int, ...]) -> Island:
    """Mul, Add or Sub by constants of ``shape``."""
    operator = sketch.draw.pick(["Mul", "Add", "Sub"])
    spread = float(np.abs(x.real).max()) or 1.0
    values = sketch.draw.rng.uniform(-1, 1, shape) * (2 if operator == "Mul" else spread / 2)
    constant = values.astype(np.float32)
    real = {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract}[operator](x.real, constant.astype(np.float64))
    return x.through(sketch, operator, real, sketch.constant("operand", constant))


def _scalar(sketch: Sketch, x: Island) -> Island:
    return _arithmetic(sketch, x, sketch.draw.pick([(), (1,)]))


def _per_channel(sketch: Sketch, x: Island) -> Island:
    return _arithmetic(sketch, x, (x.real.shape[0], *[1] * (x.real.ndim - 1)))


def _normalization(sketch: Sketch, x: Island) -> Island:
    """BatchNormalization with its four constants per channel."""
    draw, channels = sketch.draw, x.real.shape[0]
    spread = float(np.abs(x.real).max()) or 1.0
    gain, offset = draw.rng.uniform(-2, 2, channels), draw.rng.uniform(-1, 1, channels)
    mean, variance = draw.rng.uniform(-spread, spread, channels) / 2, draw.rng.uniform(0.1, 1, channels) * spread**2
    constants = [sketch.constant("normalization", value.astype(np.float32)) for value in (gain, offset, mean, variance)]
    column = (channels, *[1] * (x.real.ndim - 1))
    real = (x.real - mean.reshape(column)) * (gain / np.sqrt(variance)).reshape(column) + offset.reshape(column)
    return x.through(sketch, "BatchNormalization", real, *constants)


def _slice(sketch: Sketch, x: Island) -> Island:
    cuts = draw_cuts(sketch.draw, x.real.shape)
    return x.through(sketch, "Slice", apply_cuts(x.real, cuts), *cut_operands(sketch, cuts, x.real.shape))


def _pad(sketch: Sketch, x: Island) -> Island:
    pads = draw_padding(sketch.draw, x.real.shape)
    fill = np.float32(sketch.draw.pick([0.0, 0.0, float(x.real.flat[0]), float(x.real.max()) / 3]))
    real = np.pad(x.real, pads, constant_values=fill)
    if real.size > sketch.room:
        return x
    return x.through(sketch, "Pad", real, padding_operand(sketch, pads), sketch.constant("fill", fill))


PER_ELEMENT: tuple[Part, ...] = (
    _relu, _relu, _clip, _sigmoid, _hard_sigmoid, _hard_swish, _leaky_relu, _tanh, _scalar, _scalar)
PER_CHANNEL: tuple[Part, ...] = (_per_channel, _normalization)
MOVING: tuple[tuple[Part, ...], ...] = ((_slice,), (_pad,), (_slice, _slice), (_slice, _pad))


def island(sketch: Sketch, x: Value) -> Value:
    """One to four nodes between DequantizeLinear and QuantizeLinear: functions, or movements with functions."""
    draw = sketch.draw
    kind = draw.pick(["functions", "channels", "movement"], [4, 3, 3]) if x.is_image else "functions"
    if kind == "movement" and sketch.opset >= UNMOVED_OPSET:
        kind = "functions"
    parts = [draw.pick(PER_ELEMENT) for _ in range(draw.pick([1, 2, 3], [4, 2, 1]))]
    if kind == "channels":
        parts.insert(draw.integer(0, len(parts)), draw.pick(PER_CHANNEL))
    if kind == "movement":
        parts = parts[:draw.integer(0, 1)]
        moves = list(draw.pick(MOVING))
        parts = draw.pick([[*moves, *parts], [*parts, *moves], [*moves[:1], *parts, *moves[1:]]])
    inner = Island(sketch.node("DequantizeLinear", sketch.operand(x)), x.real)
    for part in parts:
        inner = part(sketch, inner)
    dtype = x.dtype if draw.chance(0.8) else draw.dtype()
    return _quantize(sketch, inner, x, dtype, x.layout if kind == "functions" else None)


def _quantize(sketch: Sketch, inner: Island, x: Value, dtype: np.dtype, layout: tuple[int, int, int] | None) -> Value:
    """QuantizeLinear."""
    draw = sketch.draw
    low, high = float(inner.real.min()), float(inner.real.max())
    wanted = max(high - low, abs(high) / 50, abs(low) / 50, 1e-5) / 255 * draw.log_uniform(0.6, 1.6)
    scale = scale_near(draw, draw_style(draw), wanted, x.scale, inner.real)
    zero = zero_for(draw, low / float(scale), high / float(scale), dtype)
    name = sketch.node("QuantizeLinear", [inner.name, *sketch.quantization(scale, zero, dtype)])
    return sketch.quantized(name, inner.real, dtype, scale, zero, layout)
