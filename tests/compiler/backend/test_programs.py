"""Whole programs: every tensor equals ONNX Runtime's on the emulator, and the order is safe at any speed of the units."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from random_graphs import generate, random_inputs

from arrayloom.compiler import compile_graph, compile_model
from arrayloom.compiler.backend.fuse import fuse
from arrayloom.compiler.backend.lower_graph import to_steps
from arrayloom.compiler.errors import CompileError, UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import Config, ConfigError, load_config
from arrayloom.isa.fields import encode_all
from arrayloom.isa.instructions import Convolve, Elementwise, LoadActivations, Pool, Store
from arrayloom.isa.program import Program

SEEDS = range(40)

# So small that most tensors of a random network are split into row tiles.
CRAMPED = Config(
    name="cramped",
    size=4,
    lanes=2,
    column_stage=2,
    row_stage=2,
    accumulator_depth=16,
    activation_bytes=1024,
    weight_words=32,
    parameter_entries=256,
)
CONFIGS = {"cramped": CRAMPED} | {name: load_config(name) for name in ("tiny", "16x16", "32x32", "64x64")}


def verify(model: onnx.ModelProto | Path, config: Config, seed: int = 0) -> tuple[Program, Verdict]:
    """Compiles, runs on the emulator and compares every tensor with ONNX Runtime."""
    imported = import_model(model)
    program = compile_graph(imported.graph, config)
    proto = onnx.load(model) if isinstance(model, Path) else model
    verdict = Verifier(imported, program, open_device("emulator", config)).verify(random_inputs(proto, seed))
    return program, verdict


@pytest.mark.parametrize("name", ["cramped", "tiny", "16x16"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks_equal_onnx_runtime(seed: int, name: str) -> None:
    try:
        _, verdict = verify(generate(seed), CONFIGS[name], seed)
    except CompileError as error:
        assert name == "cramped" and "activation_bytes" in str(error)
        return
    assert verdict.first_difference is None
    assert verdict.bytes_compared > 0


def test_most_random_networks_fit_the_cramped_memory_in_row_tiles() -> None:
    """Otherwise the tests that accept a refusal at the cramped size could pass with refusals alone."""
    kinds = set()
    compiled = 0
    for seed in SEEDS:
        try:
            program = compile_graph(import_model(generate(seed)).graph, CRAMPED)
        except CompileError:
            continue
        compiled += 1
        outputs = len(program.outputs) + (program.features is not None)
        kinds.add(sum(isinstance(i, Store) for i in program) > outputs)
    assert compiled > 0.9 * len(SEEDS)
    assert kinds == {True, False}


@pytest.mark.parametrize("name", ["cramped", "tiny"])
@pytest.mark.parametrize("seed", SEEDS[::4])
def test_no_order_depends_on_the_speed_of_units(seed: int, name: str) -> None:
    try:
        program = compile_graph(import_model(generate(seed)).graph, CONFIGS[name])
    except CompileError as error:
        assert name == "cramped" and "activation_bytes" in str(error)
        return
    assert find_stall(program, CONFIGS[name]) is None
    assert [find_race(program, CONFIGS[name], speeds) for speeds in range(4)] == [None] * 4


def test_a_missing_token_is_a_race_that_the_check_finds() -> None:
    config, network = CONFIGS["tiny"], Network()
    hidden = _conv(network, "x", 3, 8, 3)
    program = compile_graph(import_model(_model(network, _conv(network, hidden, 8, 8, 3), 3, 8, 8)).graph, config)
    instructions = list(program)
    index, reader = next((n, i) for n, i in enumerate(instructions) if isinstance(i, Convolve) and i.wait)
    instructions[index] = replace(reader, wait=0)
    code = encode_all(list(instructions))
    cut = replace(program, instructions=code)
    assert any(find_race(cut, config, speeds) for speeds in range(8))


def test_the_largest_networks_have_no_race(shared_data: Path) -> None:
    for name in ("resnet20_cifar10_int8_qop", "squeezenet1.0_int8_qop"):
        program = compile_model(shared_data / "models" / f"{name}.onnx", "32x32")
        assert find_stall(program, CONFIGS["32x32"]) is None
        assert [find_race(program, CONFIGS["32x32"], speeds) for speeds in range(2)] == [None] * 2


@pytest.mark.parametrize("name", ["tiny", "16x16", "32x32", "64x64"])
@pytest.mark.parametrize("model", ["resnet20_cifar10_int8_qop", "mlperf_tiny_resnet8_int8_qdq"])
def test_real_networks_equal_onnx_runtime(shared_data: Path, model: str, name: str) -> None:
    _, verdict = verify(shared_data / "models" / f"{model}.onnx", CONFIGS[name])
    assert verdict.first_difference is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("resnet18_int8_qop", "16x16"),
        ("resnet50_int8_qop", "16x16"),
        ("resnet50_int8_qop", "64x64"),
        ("squeezenet1.0_int8_qop", "tiny"),
        ("squeezenet1.0_int8_qop", "32x32"),
        ("resnet20_cifar10_int8_qdq", "32x32"),
    ],
)
def test_large_networks_equal_onnx_runtime(shared_data: Path, model: str, name: str) -> None:
    _, verdict = verify(shared_data / "models" / f"{model}.onnx", CONFIGS[name])
    assert verdict.first_difference is None


def _quantized(network: Network, scale: float = 0.05, zero: int = 128) -> list[str]:
    return [network.constant(np.float32(scale)), network.constant(np.uint8(zero))]


def _conv(network: Network, x: str, channels: int, outputs: int, kernel: int, stride: int = 1, **more: int) -> str:
    rng = np.random.default_rng(len(network.nodes))
    weight = rng.integers(-127, 128, (outputs, channels, kernel, kernel)).astype(np.int8)
    parts = [
        x,
        *_quantized(network),
        network.constant(weight),
        network.constant(np.float32(0.01)),
        network.constant(np.int8(0)),
        *_quantized(network),
    ]
    pad = more.get("pad", kernel // 2)
    return network.node("QLinearConv", parts, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)


def _model(network: Network, output: str, channels: int, height: int, width: int) -> onnx.ModelProto:
    return network.model({"x": (np.uint8, [1, channels, height, width])}, [output])


def _add(network: Network, a: str, b: str) -> str:
    return network.node("QLinearAdd", [a, *_quantized(network), b, *_quantized(network), *_quantized(network, 0.08)])


def test_a_residual_block_is_two_steps() -> None:
    network = Network()
    first = _conv(network, "x", 4, 4, 3)
    second = _conv(network, first, 4, 4, 3)
    model = _model(network, _add(network, second, first), 4, 8, 8)
    steps = to_steps(import_model(model).graph)
    assert len(steps.steps) == 3
    fuse(steps)
    made, summed = first, model.graph.output[0].name
    assert str(steps) == f"{made} = convolution(x)\n{summed} = convolution({made}) | add {made}\n"


def test_operands_of_an_add_that_lie_differently_are_moved_by_the_array() -> None:
    network = Network()
    left, right, third = (_conv(network, "x", 3, outputs, 1) for outputs in (3, 5, 8))
    parts = [value for name in (left, right) for value in (name, *_quantized(network, 0.05))]
    both = network.node("QLinearConcat", [*_quantized(network), *parts], axis=1)
    pooled = network.node("MaxPool", [third], kernel_shape=[3, 3], pads=[1] * 4)
    model = _model(network, _add(network, both, pooled), 3, 9, 7)
    program, verdict = verify(model, CONFIGS["tiny"])
    assert verdict.first_difference is None
    assert not any(isinstance(i, Elementwise) for i in program)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "name"),
    [
        (3, 7, 2, "16x16"),
        (3, 7, 2, "64x64"),
        (1, 5, 1, "tiny"),
        (2, 3, 2, "tiny"),
        (3, 11, 4, "16x16"),
        (5, 3, 1, "16x16"),
    ],
)
def test_first_layers_are_packed(channels: int, kernel: int, stride: int, name: str) -> None:
    network = Network()
    model = _model(network, _conv(network, "x", channels, 6, kernel, stride), channels, 23, 19)
    program, verdict = verify(model, CONFIGS[name])
    assert verdict.first_difference is None
    assert program.inputs[0].slot.layout.packing is not None
    unpacked = kernel * kernel * -(-channels // CONFIGS[name].size)
    assert next(i.blocks * i.taps_y * i.taps_x for i in program if isinstance(i, Convolve)) < unpacked


def test_a_pool_is_written_along_with_the_convolution_before_it() -> None:
    network = Network()
    conv = _conv(network, "x", 3, 8, 3)
    model = _model(network, network.node("MaxPool", [conv], kernel_shape=[2, 2], strides=[2, 2]), 3, 32, 32)
    program, verdict = verify(model, CONFIGS["tiny"])
    assert verdict.first_difference is None
    kinds = [type(i) for i in program if isinstance(i, Convolve | Pool)]
    assert kinds.index(Pool) < len(kinds) // 2


def test_a_large_image_passes_through_in_row_tiles() -> None:
    network = Network()
    hidden = _conv(network, _conv(network, "x", 3, 8, 3), 8, 8, 3)
    model = _model(network, network.node("MaxPool", [hidden], kernel_shape=[2, 2], strides=[2, 2]), 3, 96, 120)
    program, verdict = verify(model, CONFIGS["tiny"])
    assert verdict.first_difference is None
    assert sum(isinstance(i, Store) for i in program) > 2
    assert sum(isinstance(i, LoadActivations) for i in program) > 10
    assert find_race(program, CONFIGS["tiny"], 1) is None


def test_a_row_that_does_not_fit_is_refused_with_the_memory_it_needs() -> None:
    network = Network()
    model = _model(network, _conv(network, _conv(network, "x", 4, 64, 1), 64, 64, 3), 4, 3, 40)
    with pytest.raises(CompileError, match=r"layer that makes '\w+': one row .* activation_bytes = 4096 or more"):
        compile_model(model, CRAMPED)
    _, verdict = verify(model, replace(CRAMPED, activation_bytes=4096))
    assert verdict.first_difference is None


def test_what_no_instruction_holds_is_refused_node_by_node() -> None:
    network = Network()
    model = _model(network, _conv(network, "x", 1, 1, 1, stride=300), 1, 301, 301)
    with pytest.raises(UnsupportedError, match=r"strides = 300.*at most 255"):
        compile_model(model, "tiny")


def test_an_unknown_configuration_is_refused_with_the_presets() -> None:
    network = Network()
    with pytest.raises(ConfigError, match=r"17x17.*16x16"):
        compile_model(_model(network, _conv(network, "x", 1, 1, 1), 1, 4, 4), "17x17")
