"""Random float islands."""

import numpy as np
from random_draws import Generator, Value
from random_operators import pad_amounts, slice_inputs


def island(g: Generator) -> Value | None:
    """DequantizeLinear, functions and movement, QuantizeLinear."""
    x = g.source()
    if x is None:
        return None
    inner = g.name("real")
    g.node("DequantizeLinear", g.operand(x), inner)
    shape = x.shape
    if len(shape) > 1 and g.chance(0.4):
        inner, shape = _float_movement(g, inner, shape)
        steps = [_scalar_function for _ in range(g.pick(0, 2))]
    else:
        per_channel = 0.4 if len(shape) > 1 else 0  # a flattened image has no channels
        steps = [_channel_function if g.chance(per_channel) else _scalar_function for _ in range(g.pick(0, 3))]
    for step in steps:
        inner = step(g, inner, shape)
    dtype = np.dtype(np.int8 if (x.dtype == np.int8) != g.chance(0.2) else np.uint8)
    y = Value(g.name("island"), shape, g.scale(x.scale), g.zero_point(dtype), dtype)
    g.node("QuantizeLinear", [inner, *g.parameters(y)], y.name)
    return g.add(y)


def _float_movement(g: Generator, inner: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    output = g.name("moved")
    if g.chance(0.5):
        inputs, shape = slice_inputs(g, shape)
        g.node("Slice", [inner, *inputs], output)
        return output, shape
    amounts, shape = pad_amounts(g, shape)
    inputs = [g.constant(np.float32(g.rng.choice([0.0, 0.7])))] if g.chance(0.5) else []
    g.node("Pad", [inner, g.constant(amounts), *inputs], output)
    return output, shape


def _scalar_function(g: Generator, inner: str, _: tuple[int, ...]) -> str:
    output = g.name("function")
    operator = str(g.rng.choice(["Relu", "Sigmoid", "HardSigmoid", "LeakyRelu", "Tanh", "Mul", "Add", "Clip", "Swish"]))
    constant = g.constant(np.float32(g.rng.uniform(0.2, 2)))
    if operator == "Swish":
        gate = g.name("gate")
        g.node("Sigmoid", [inner], gate)
        g.node("Mul", [inner, gate], output)
    elif operator == "Clip":
        g.node("Clip", [inner, g.constant(np.float32(0)), constant], output)
    elif operator in ("Mul", "Add"):
        g.node(operator, [inner, constant] if g.chance(0.5) else [constant, inner], output)
    else:
        g.node(operator, [inner], output)
    return output


def _channel_function(g: Generator, inner: str, shape: tuple[int, ...]) -> str:
    output = g.name("function")
    channels = shape[0]
    if g.chance(0.5):
        constants = [g.constant(g.rng.uniform(0.3, 1.5, channels).astype(np.float32)) for _ in range(4)]
        g.node("BatchNormalization", [inner, *constants], output)
    else:
        constant = g.rng.uniform(0.3, 1.5, (channels, *[1] * (len(shape) - 1))).astype(np.float32)
        g.node(str(g.rng.choice(["Mul", "Add", "PRelu"])), [inner, g.constant(constant)], output)
    return output
