"""One function for each integer operator: it appends the operator to a random network.

Each returns the new value, or None where no value of the network fits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_draws import MAX_CHANNELS, Generator, Value

Array = NDArray[Any]


def _weight(g: Generator, shape: tuple[int, ...], x: Value, y: Value, axis: int, depth: int) -> list[str]:
    """Weight, scale and zero point, so scaled that the result fills its range."""
    unsigned = x.dtype == np.uint8 and g.chance(0.3)
    dtype = np.dtype(np.uint8 if unsigned else np.int8)
    per_channel = g.chance(0.5)
    count = (shape[axis],) if per_channel else ()
    size = float(y.scale / x.scale) / (np.sqrt(depth) * 40) * 2.0 ** g.rng.uniform(-1, 1, count)
    if g.chance(0.4):
        size = 2.0 ** np.round(np.log2(size))
    zero = [g.zero_point(dtype) if unsigned or g.chance(0.3) else 0 for _ in range(int(np.prod(count)))]
    info = np.iinfo(dtype)
    values = g.rng.integers(info.min, info.max + 1, shape).astype(dtype)
    zero_points = np.array(zero, dtype).reshape(count)
    return [g.constant(values), g.constant(np.asarray(size, np.float32)), g.constant(zero_points)]


def _bias(g: Generator, channels: int, depth: int) -> Array:
    return g.rng.integers(-1, 1, channels, endpoint=True).astype(np.int32) * g.pick(0, 4000 * int(np.sqrt(depth)))


def _window(g: Generator, extent: tuple[int, ...], operator: str) -> tuple[dict[str, Any], list[int]] | None:
    """Attributes of a window over `extent` and the extents that it gives; None where it does not fit."""
    axes = range(len(extent))
    kernel = [g.pick(1, min(5, size)) for size in extent]
    strides = [g.pick(1, 3) for _ in axes]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    if g.chance(0.15):
        attributes["auto_pad"] = str(g.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        limit = [min(size - 1, 2) for size in kernel]
        attributes["pads"] = [g.pick(0, limit[axis]) for _ in (0, 1) for axis in axes]
    mode = attributes.get("auto_pad", "")
    if mode.startswith("SAME"):
        skipped = [
            size - (-(-size // step) - 1) * step - kernel[i]
            for i, (size, step) in enumerate(zip(extent, strides, strict=True))
        ]
        if max(skipped) > (operator == "conv"):  # pools of ONNX Runtime then refuse, or begin inside the image
            return None
        return attributes, [-(-size // step) for size, step in zip(extent, strides, strict=True)]
    pads = attributes.get("pads", [0] * 2 * len(extent))
    if operator != "average" and g.chance(0.2):
        attributes["dilations"] = [2 for _ in axes]
    dilations = attributes.get("dilations", [1 for _ in axes])
    room = [extent[i] + pads[i] + pads[i + len(extent)] - (kernel[i] - 1) * dilations[i] - 1 for i in axes]
    if min(room) < 0:
        return None
    return attributes, [room[i] // strides[i] + 1 for i in axes]


def conv(g: Generator) -> Value | None:
    x = g.source()
    if x is None or len(x.shape) == 1:
        return None
    window = _window(g, x.shape[1:], "conv")
    if window is None:
        return None
    attributes, extent = window
    group = int(g.rng.choice([1, 1, x.shape[0], 2 if x.shape[0] % 2 == 0 else 1]))
    channels = group * g.pick(1, max(1, MAX_CHANNELS // group))
    y = g.draw("conv", (channels, *extent), x)
    shape = (channels, x.shape[0] // group, *attributes["kernel_shape"])
    depth = int(np.prod(shape[1:]))
    inputs = [*g.operand(x), *_weight(g, shape, x, y, 0, depth), *g.parameters(y)]
    if g.chance(0.7):
        inputs.append(g.constant(_bias(g, channels, depth)))
    g.node("QLinearConv", inputs, y.name, group=group, **attributes)
    return g.add(y)


def flatten(g: Generator) -> Value | None:
    x = g.source()
    if x is None or len(x.shape) == 1:
        return None
    y = g.same("flatten", (int(np.prod(x.shape)),), x)
    if g.chance(0.5):
        g.node("Flatten", [x.name], y.name, axis=1)
    else:
        g.node("Reshape", [x.name, g.constant(np.array([0, -1]))], y.name)
    return g.add(y)


def matrix(g: Generator) -> Value | None:
    x = g.source(rank=1) or flatten(g)
    if x is None:
        return None
    depth, width = x.shape[0], g.pick(1, MAX_CHANNELS)
    y = g.draw("matrix", (width,), x)
    if g.chance(0.4):
        inputs = [*g.operand(x), *_weight(g, (depth, width), x, y, 1, depth), *g.parameters(y)]
        g.node("QLinearMatMul", inputs, y.name)
        return g.add(y)
    transposed = g.pick(0, 1)
    shape = (width, depth) if transposed else (depth, width)
    bias = g.constant(_bias(g, width, depth)) if g.chance(0.7) else ""
    inputs = [*g.operand(x), *_weight(g, shape, x, y, 1 - transposed, depth), bias, *g.parameters(y)]
    alpha = float(g.rng.choice([1.0, 1.0, 0.5, 1.3]))
    g.node("QGemm", inputs, y.name, alpha=alpha, transA=0, transB=transposed)
    return g.add(y)


def add(g: Generator) -> Value | None:
    a = g.source()
    others = [value for value in g.pool if a is not None and value.shape == a.shape and value.dtype == a.dtype]
    if a is None or not others:
        return None
    b = others[g.pick(0, len(others) - 1)] if len(a.shape) > 1 else a  # a flattened image adds to its like alone
    y = g.draw("add", a.shape, a)
    g.node("QLinearAdd", [*g.operand(a), *g.operand(b), *g.parameters(y)], y.name)
    return g.add(y)


def max_pool(g: Generator) -> Value | None:
    x = g.source()
    if x is None or len(x.shape) == 1:
        return None
    window = _window(g, x.shape[1:], "max")
    if window is None:
        return None
    attributes, extent = window
    extent = _ceil(g, attributes, x.shape[1:]) or extent
    y = g.same("max", (x.shape[0], *extent), x)
    g.node("MaxPool", [x.name], y.name, **attributes)
    return g.add(y)


def _ceil(g: Generator, attributes: dict[str, Any], extent: tuple[int, ...]) -> list[int] | None:
    """Sometimes switch ceil_mode on and give the extents, where no last window begins behind the image."""
    if "pads" not in attributes or g.chance(0.5):
        return None
    pads, steps = attributes["pads"], attributes["strides"]
    dilations = attributes.get("dilations", [1] * len(extent))
    result = []
    for i, size in enumerate(extent):
        span = (attributes["kernel_shape"][i] - 1) * dilations[i] + 1
        count = -(-(size + pads[i] + pads[i + len(extent)] - span) // steps[i]) + 1
        if (count - 1) * steps[i] >= size + pads[i]:
            return None
        result.append(count)
    attributes["ceil_mode"] = 1
    return result


def average_pool(g: Generator) -> Value | None:
    x = g.source()
    if x is None or len(x.shape) == 1:
        return None
    window = _window(g, x.shape[1:], "average")
    if window is None:
        return None
    attributes, extent = window
    attributes["count_include_pad"] = g.pick(0, 1)
    extent = _ceil(g, attributes, x.shape[1:]) or extent
    y = g.draw("average", (x.shape[0], *extent), x)
    g.node("QLinearAveragePool", [*g.operand(x), *g.parameters(y)], y.name, **attributes)
    return g.add(y)


def global_average_pool(g: Generator) -> Value | None:
    x = g.source()
    if x is None or len(x.shape) == 1:
        return None
    y = g.draw("mean", (x.shape[0], *[1] * (len(x.shape) - 1)), x)
    inputs = [*g.operand(x), *g.parameters(y)]
    g.node("QLinearGlobalAveragePool", inputs, y.name, channels_last=0)
    return g.add(y)


def concat(g: Generator) -> Value | None:
    first = g.source()
    if first is None:
        return None
    fitting = [v for v in g.pool if v.shape[1:] == first.shape[1:] and v.dtype == first.dtype]
    flattened = any(len(v.shape) == 1 for v in fitting)
    xs = [fitting[g.pick(0, len(fitting) - 1)] for _ in range(g.pick(1, 3))]
    channels = sum(x.shape[0] for x in xs)
    if flattened or channels > 2 * MAX_CHANNELS:
        return None
    y = g.draw("concat", (channels, *first.shape[1:]), first)
    operands = [name for x in xs for name in g.operand(x)]
    g.node("QLinearConcat", [*g.parameters(y), *operands], y.name, axis=1)
    return g.add(y)


def clip(g: Generator) -> Value | None:
    x = g.source()
    if x is None or x.name.startswith("relu"):  # ONNX Runtime cannot load an integer Clip behind an integer Relu
        return None
    info = np.iinfo(x.dtype)
    lo, hi = sorted(g.pick(int(info.min), int(info.max)) for _ in (0, 1))
    if x.dtype == np.int8 and g.opset >= 14 and g.chance(0.5):
        y = g.same("relu", x.shape, x)
        g.node("Relu", [x.name], y.name)
        return g.add(y)
    y = g.same("clip", x.shape, x)
    if g.chance(0.2):
        g.node("Max", [x.name, g.constant(np.array(lo, x.dtype))], y.name)
    else:
        upper = g.constant(np.array(hi, x.dtype)) if g.chance(0.7) else ""
        g.node("Clip", [x.name, g.constant(np.array(lo, x.dtype)), upper], y.name)
    return g.add(y)


def table(g: Generator) -> Value | None:
    x = g.source()
    if x is None:
        return None
    y = g.draw("table", x.shape, x)
    if g.chance(0.5):
        alpha = float(g.rng.choice([0.01, 0.1, 0.25]))
        g.node("QLinearLeakyRelu", [*g.operand(x), *g.parameters(y)], y.name, alpha=alpha)
        return g.add(y)
    y = Value(y.name, y.shape, np.float32(1 / 256), int(np.iinfo(x.dtype).min), x.dtype)
    g.node("QLinearSigmoid", [*g.operand(x), *g.parameters(y)], y.name)
    return g.add(y)


def slice_inputs(g: Generator, shape: tuple[int, ...]) -> tuple[list[str], tuple[int, ...]]:
    """Starts, ends, axes and steps of a Slice, and the shape it gives."""
    axis = g.pick(0, len(shape) - 1)
    start = g.pick(0, shape[axis] - 1)
    step = g.pick(1, 3)
    end = shape[axis] if g.chance(0.5) else g.pick(start + 1, shape[axis])
    extent = -(-(end - start) // step)
    inputs = [g.constant(np.array([value])) for value in (start, end, axis + 1, step)]
    return inputs, (*shape[:axis], extent, *shape[axis + 1 :])


def pad_amounts(g: Generator, shape: tuple[int, ...]) -> tuple[Array, tuple[int, ...]]:
    amounts = np.array([[0, *(g.pick(0, 2) for _ in shape)] for _ in (0, 1)])
    return amounts.ravel(), tuple(int(size + extra) for size, extra in zip(shape, amounts.sum(axis=0)[1:], strict=True))


def move(g: Generator) -> Value | None:
    x = g.source(rank=3) or g.source(rank=2)
    if x is None:
        return None
    if g.chance(0.5):
        inputs, shape = slice_inputs(g, x.shape)
        y = g.same("slice", shape, x)
        g.node("Slice", [x.name, *inputs], y.name)
    elif g.chance(0.7):
        amounts, shape = pad_amounts(g, x.shape)
        y = g.same("pad", shape, x)
        fill = np.array(x.zero_point if g.chance(0.5) else g.zero_point(x.dtype), x.dtype)
        g.node("Pad", [x.name, g.constant(amounts), g.constant(fill)], y.name)
    else:
        order = g.rng.permutation(x.shape[0])[: g.pick(1, x.shape[0])]
        y = g.same("gather", (order.size, *x.shape[1:]), x)
        g.node("Gather", [x.name, g.constant(order)], y.name, axis=1)
    return g.add(y)
