"""Concatenations that only lookup tables read are not stored: each part goes through a composed table."""

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from verification import assert_exact

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.instructions import Elementwise, LoadLookupTable
from arrayloom.isa.program import Program

SIDE = 6
CRAMPED = Config(
    name="cramped", size=4, lanes=2, column_stage=2, row_stage=2, accumulator_depth=16, activation_bytes=1024,
    weight_words=32, parameter_entries=256)


def _convolution(net: Network, x: str, scale: float, inputs: int, outputs: int, made: float, kernel: int = 1) -> str:
    rng = np.random.default_rng(inputs * 100 + outputs)
    weight = net.constant(rng.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8))
    given = [net.constant(np.float32(scale)), net.constant(np.uint8(120))]
    weights = [weight, net.constant(np.float32(0.02 / inputs)), net.constant(np.int8(0))]
    result = [net.constant(np.float32(made)), net.constant(np.uint8(120))]
    return net.node("QLinearConv", [x, *given, *weights, *result], pads=[kernel // 2] * 4)


def _concat(net: Network, parts: list[tuple[str, float]], scale: float) -> str:
    operands = [name for part, given in parts
                for name in (part, net.constant(np.float32(given)), net.constant(np.uint8(120)))]
    quantization = [net.constant(np.float32(scale)), net.constant(np.uint8(120))]
    return net.node("QLinearConcat", [*quantization, *operands], axis=1)


def _normalized(net: Network, x: str, scale: float, channels: int) -> str:
    rng = np.random.default_rng(channels)
    constants = [net.constant(rng.uniform(0.3, 1.5, channels).astype(np.float32)) for _ in range(4)]
    real = net.node("BatchNormalization", [net.dequantize(x, scale, 120), *constants])
    return net.quantize(net.node("Relu", [real]), 0.02, 3)


def _dense_block() -> Network:
    """Three layers; each concatenates the previous concatenation and its own result, all at different scales."""
    net = Network(opset=17)
    x, scale, channels = _convolution(net, net.quantize("data", 0.03, 128), 0.03, 3, 6, 0.05), 0.05, 6
    for layer in range(3):
        made = 0.04 + 0.01 * layer
        new = _convolution(net, _normalized(net, x, scale, channels), 0.02, channels, 5, made)
        joined = 0.06 + 0.005 * layer
        x = _concat(net, [(x, scale), (new, made)], joined)
        scale, channels = joined, channels + 5
    net.quantize(net.node("Relu", [net.dequantize(x, scale, 120)]), 0.05, 7, output="y")
    return net


def _growing_block(layers: int, growth: int) -> Network:
    """As in DenseNets: each layer concatenates all parts again, at their common scale."""
    net = Network(opset=17)
    x, channels = _convolution(net, net.quantize("data", 0.03, 128), 0.03, 3, 3 * growth, 0.05), 3 * growth
    parts = [x]
    for _ in range(layers):
        narrow = _convolution(net, _normalized(net, x, 0.05, channels), 0.02, channels, 4 * growth, 0.02)
        parts.append(_convolution(net, narrow, 0.02, 4 * growth, growth, 0.05, kernel=3))
        x, channels = _concat(net, [(part, 0.05) for part in parts], 0.05), channels + growth
    net.quantize(net.node("Relu", [net.dequantize(x, 0.05, 120)]), 0.05, 7, output="y")
    return net


def _model() -> onnx.ModelProto:
    return _dense_block().model({"data": (np.float32, ["N", 3, SIDE, SIDE])}, ["y"])


def _passes(program: Program) -> int:
    """The number of words written by passes over the scratchpad."""
    return sum(i.height * i.width for i in program if isinstance(i, Elementwise))


@pytest.mark.parametrize("config", ["tiny", "16x16", CRAMPED], ids=["tiny", "16x16", "cramped"])
def test_dense_block_equals_onnx_runtime(config: str | Config) -> None:
    program, _ = assert_exact(_model(), config)
    assert sum(isinstance(i, LoadLookupTable) for i in program)
    chosen = load_config(config)
    assert find_stall(program, chosen) is None
    assert [find_race(program, chosen, speeds) for speeds in range(2)] == [None] * 2


def test_composed_tables_save_the_passes_of_the_concatenation() -> None:
    """One table pass for each layer's channels and the final ones only: no part is requantized separately."""
    program, _ = assert_exact(_model(), "16x16")
    blocks_read = 1 + 2 + 3 + 4     # each part, 6 or 5 channels, has its own block
    assert _passes(program) == blocks_read * SIDE * SIDE


def test_a_concatenation_that_leaves_the_device_is_stored() -> None:
    net = _dense_block()
    last = [node.output[0] for node in net.nodes if node.op_type == "QLinearConcat"][-1]
    model = net.model({"data": (np.float32, ["N", 3, SIDE, SIDE])}, ["y", last])
    program, verdict = assert_exact(model, "16x16")
    assert [output.slot.tensor for output in program.outputs] == ["y", last]
    assert verdict.outputs[last].shape == (1, 21, SIDE, SIDE)


def test_parts_of_several_concatenations_are_not_copied() -> None:
    """Even if their bytes equal those of all their concatenations: each table passes over each part once."""
    model = _growing_block(3, 4).model({"data": (np.float32, ["N", 3, SIDE, SIDE])}, ["y"])
    program, _ = assert_exact(model, "tiny")
    blocks_read = 3 + 4 + 5 + 6
    assert _passes(program) == blocks_read * SIDE * SIDE


def test_the_array_hardly_waits_for_the_tables_of_old_parts() -> None:
    """They run during the previous layer's 3x3 convolution, and the weights are queued before the tables."""
    model = _growing_block(5, 16).model({"data": (np.float32, ["N", 3, 20, 20])}, ["y"])
    predicted = predict(compile_model(model, "16x16"), load_config("16x16"))
    assert predicted.busy["POST"] > 0.6 * predicted.busy["ARRAY"]
    assert predicted.busy["ARRAY"] > 0.85 * predicted.cycles    # 0.68 if weights are queued after tables
