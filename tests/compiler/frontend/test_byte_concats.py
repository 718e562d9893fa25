"""Concat of bytes between layers, as tf2onnx writes it."""

from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network
from verification import assert_exact

from arrayloom.compiler.frontend import import_model


def _layer(net: Network, real: str, dtype: Any, inputs: int, outputs: int = 4) -> str:
    values = np.random.default_rng(outputs + inputs).integers(-50, 51, (outputs, inputs, 3, 3)).astype(np.int8)
    weight = net.dequantize(net.constant(values), 2.0**-7, 0, np.int8)
    return net.quantize(net.node("Conv", [real, weight], pads=[1, 1, 1, 1]), 0.5, 3, dtype)


def _network(dtype: Any, axis: int) -> onnx.ModelProto:
    net = Network(opset=13)
    first = _layer(net, net.dequantize("x", 0.125, 3, dtype), dtype, 3)
    second = _layer(net, net.dequantize(first, 0.5, 3, dtype), dtype, 4)
    joined = net.node("Concat", [first, second], axis=axis)
    last = _layer(net, net.dequantize(joined, 0.5, 3, dtype), dtype, 8 if axis in (1, -3) else 4, 5)
    return net.model({"x": (dtype, ["N", 3, 8, 8])}, [last])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("axis", [1, -3, 2])
def test_it_keeps_the_bytes(dtype: Any, axis: int) -> None:
    model = _network(dtype, axis)
    _, verdict = assert_exact(model)
    assert verdict.original_max_abs_error == 0
    assert import_model(model).graph.host.share == 0
