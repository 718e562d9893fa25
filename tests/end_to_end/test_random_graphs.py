"""Random graphs equal ONNX Runtime at every tensor; tests of the generator and the shrinker."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from random_graphs import check, generate, random_inputs, report, shrink
from small_accelerators import DEPTHWISE, WIDE

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa import arithmetic
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.instructions import Depthwise
from arrayloom.sim.emulator import post

GRAPHS = 500
BLOCK = 10          # graphs per test
RTL_SHARE = 10      # one graph in ten also runs on the RTL
DRAWN, LEAST_USERS = 120, 8     # graphs, and how many of them must use the DEPTHWISE unit
REPORTS = 3         # failures shrunk per test

OPERATORS = {
    "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "MaxPool", "QLinearAveragePool", "QLinearGlobalAveragePool",
    "QLinearConcat", "QLinearLeakyRelu", "QLinearSigmoid", "Relu", "Clip", "Max", "Min", "Flatten", "Reshape", "Squeeze",
    "Unsqueeze", "Identity", "Slice", "Pad", "Split", "Gather", "QuantizeLinear", "DequantizeLinear", "Softmax",
    "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Tanh", "Mul", "Add", "Sub", "BatchNormalization",
    "QLinearMul", "QLinearSoftmax", "Transpose", "Resize", "DepthToSpace", "SpaceToDepth",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Blocks of seeds: many small tests can be distributed over the workers, and a failure names its block."""
    count = metafunc.config.getoption("random_graphs", None) or GRAPHS
    for name, graphs in (("seeds", count), ("rtl_seeds", max(count // RTL_SHARE, 1))):
        if name in metafunc.fixturenames:
            blocks = [range(start, min(start + BLOCK, graphs)) for start in range(0, graphs, BLOCK)]
            metafunc.parametrize(name, blocks, ids=[f"{block[0]}-{block[-1]}" for block in blocks])


@pytest.fixture(scope="module")
def emulator() -> Device:
    return open_device("emulator", PRESETS["tiny"])


@pytest.fixture(scope="module")
def rtl() -> Iterable[Device]:
    device = open_device("rtl", PRESETS["tiny"])
    yield device
    device.close()


def _assert_equal(seeds: Iterable[int], device: Device, folder: Path) -> None:
    failures: list[str] = []
    for seed in seeds:
        if len(failures) < REPORTS and (text := report(seed, device, folder)):
            failures.append(text)
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("config", [DEPTHWISE, WIDE], ids=lambda config: config.name)
def test_graphs_equal_onnx_runtime_with_a_depthwise_unit(config: Config, tmp_path: Path) -> None:
    """On the RTL, those of many graphs that use the unit."""
    seeds = [seed for seed in range(DRAWN) if any(
        isinstance(one, Depthwise) for one in compile_graph(import_model(generate(seed)).graph, config))]
    assert len(seeds) >= LEAST_USERS
    device = open_device("rtl", config)
    _assert_equal(seeds, device, tmp_path)
    device.close()


def test_graphs_equal_onnx_runtime_on_the_emulator(seeds: range, emulator: Device, tmp_path: Path) -> None:
    _assert_equal(seeds, emulator, tmp_path)


def test_graphs_equal_onnx_runtime_on_the_rtl(rtl_seeds: range, rtl: Device, tmp_path: Path) -> None:
    _assert_equal(rtl_seeds, rtl, tmp_path)


def test_graphs_cover_the_operators_and_do_not_saturate() -> None:
    operators: Counter[str] = Counter()
    saturated = []
    for seed in range(400):
        model = generate(seed)
        onnx.checker.check_model(model)
        operators.update(node.op_type for node in model.graph.node)
        values = Reference(model).run_all(random_inputs(model, seed)).values()
        saturated += [_saturated(value) for value in values if value.dtype in (np.uint8, np.int8)]
    assert set(operators) == OPERATORS
    assert np.mean(saturated) < 0.25
    assert np.mean(np.array(saturated) > 0.9) < 0.1


def _saturated(values: np.ndarray) -> float:
    limits = np.iinfo(values.dtype)
    return float(((values == limits.min) | (values == limits.max)).mean())


def test_a_seed_gives_the_same_bytes_in_another_process() -> None:
    program = "import hashlib, random_graphs\n" \
              "for seed in range(20): print(hashlib.sha256(random_graphs.generate(seed).SerializeToString()).hexdigest())"
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, (here, here.parent / "support")))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    digests = [hashlib.sha256(generate(seed).SerializeToString()).hexdigest() for seed in range(20)]
    assert found.stdout.split() == digests
    assert len(set(digests)) == len(digests)


def test_inputs_depend_on_the_seed_alone() -> None:
    model = generate(3)
    first, again, other = random_inputs(model, 5), random_inputs(model, 5), random_inputs(model, 6)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("operator", ["QLinearConv", "QLinearAdd", "MaxPool", "QLinearConcat", "QLinearAveragePool"])
def test_shrinking_leaves_the_operator_at_fault(operator: str) -> None:
    def has_operator(model: onnx.ModelProto) -> bool:
        return any(node.op_type == operator for node in model.graph.node)

    model = next(model for model in map(generate, range(200)) if has_operator(model) and len(model.graph.node) > 7)
    smaller = shrink(model, has_operator)
    assert [node.op_type for node in smaller.graph.node] == [operator]
    inputs = random_inputs(smaller, 0)
    assert all(value.size <= 3 for value in inputs.values())
    assert Reference(smaller).run(inputs)


def test_shrinking_keeps_the_values_that_fail() -> None:
    """A failure of one byte deep inside the graph remains when everything before it is cut off."""
    seed = next(seed for seed in range(1000) if len(generate(seed).graph.node) > 9 and _odd_additions(generate(seed), seed))
    smaller = shrink(generate(seed), lambda model: _odd_additions(model, seed) > 0)
    assert len(smaller.graph.node) <= 2
    assert _odd_additions(smaller, seed) > 0


def _odd_additions(model: onnx.ModelProto, seed: int) -> int:
    """The number of values 77 in the results of a QLinearAdd."""
    values = Reference(model).run_all(random_inputs(model, seed))
    sums = {node.output[0] for node in model.graph.node if node.op_type == "QLinearAdd"}
    return sum(int((values[name] == 77).sum()) for name in sums)


def test_shrinking_gives_back_what_cannot_be_smaller() -> None:
    model = generate(1)
    assert shrink(model, lambda _: False) is model


def _single_rounding(accumulator: np.ndarray, scale: np.ndarray) -> np.ndarray:
    product = accumulator.astype(np.float64) * scale.astype(np.float64)
    return np.rint(np.clip(product, -arithmetic.SATURATED, arithmetic.SATURATED)).astype(np.int32)


def _unrounded_product(accumulator: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _single_rounding(accumulator.astype(np.float32), scale)


def _wide_accumulator(accumulator: np.ndarray, scale: np.ndarray) -> np.ndarray:
    product = (accumulator.astype(np.float64) * scale.astype(np.float64)).astype(np.float32)
    return np.rint(np.clip(product, -arithmetic.SATURATED, arithmetic.SATURATED)).astype(np.int32)


def _one_fma(a: np.ndarray, b: np.ndarray, ratio_a: int, ratio_b: int, offset: int) -> np.ndarray:
    """A residual add that does not round its inner sum."""
    total = a * np.int64(ratio_a) + b * np.int64(ratio_b) + np.int64(offset)
    drop = arithmetic.ADD_FRACTION - arithmetic.FRACTION
    magnitude = np.abs(total)
    rounded = arithmetic.round_with_ties(magnitude >> drop, (magnitude & ((1 << drop) - 1)) != 0)
    return np.where(total < 0, -rounded, rounded)


MISTAKES: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "product rounded once": ("requantize_float", _single_rounding),
    "product not rounded to float32": ("requantize_float", _unrounded_product),
    "accumulator not rounded to float32": ("requantize_float", _wide_accumulator),
    "inner sum of the add not rounded": ("residual_add", _one_fma),
    "float sums of the average not rounded": ("average_step", lambda total, term: total + term),
    "terms of the average not rounded": ("average_terms", lambda x, zero, scale: (x - zero) * np.int64(scale)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_rounding_left_out_is_noticed(mistake: str, emulator: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rounding step changes a byte of at least one graph of the default set."""
    name, mistaken = MISTAKES[mistake]
    monkeypatch.setattr(post, "arithmetic", SimpleNamespace(**vars(arithmetic) | {name: mistaken}))
    assert any(_differs(seed, emulator) for seed in range(GRAPHS))


def _differs(seed: int, device: Device) -> bool:
    failure = check(generate(seed), seed, device)
    return failure is not None and failure.kind == "bytes"
