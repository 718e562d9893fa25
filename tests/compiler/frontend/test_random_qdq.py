"""Random quantized networks in the style of many producers, with heads and tails: import, values, host and emulator.

To run many more: ``python -m random_qdq --count 100000 --workers 2`` with tests/support on PYTHONPATH.
"""

import pytest
from random_qdq import check, generate

NETWORKS = 1000
BLOCK = 25          # networks per test
DEVICE_SHARE = 10   # one network in ten is compiled and run on the emulator


@pytest.mark.parametrize("first", range(0, NETWORKS, BLOCK))
def test_networks_of_many_producers(first: int) -> None:
    checked = {seed: check(seed, on_device=seed % DEVICE_SHARE == 0) for seed in range(first, first + BLOCK)}
    failures = [f"seed {seed}: {failure.kind}: {failure.text}" for seed, failure in checked.items() if failure is not None]
    assert not failures, "\n".join(failures)


OPERATORS = {
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Max", "Min", "Abs", "Relu", "Clip", "PRelu",
    "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Mish", "Softplus", "Elu",
    "BatchNormalization", "Concat", "Split", "Slice", "Pad", "Resize", "Transpose", "Reshape", "Flatten", "Squeeze",
    "Gather", "SpaceToDepth", "DepthToSpace", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "Identity", "Cast", "Softmax", "LogSoftmax", "ArgMax", "TopK",
    "LpNormalization", "NonMaxSuppression", "Exp",
}
DRAWN = 400


def test_networks_hold_what_producers_write() -> None:
    cases = [generate(seed) for seed in range(DRAWN)]
    named = [{node.name.split("_")[0] for node in case.model.graph.node} for case in cases]
    operators = {node.op_type for case in cases for node in case.model.graph.node}
    assert operators >= OPERATORS
    assert sum("head" in names for names in named) > DRAWN // 10
    assert sum("tail" in names for names in named) > DRAWN // 5
    assert sum(case.style.only_products for case in cases) > DRAWN // 10
    assert {case.style.dtypes for case in cases} == {"uint8", "int8", "symmetric", "mixed"}
    assert {case.style.movement for case in cases} == {"own", "same", "none"}
    assert len({len(case.model.graph.output) for case in cases}) > 2


def test_a_seed_gives_the_same_network_again() -> None:
    assert all(generate(seed).model == generate(seed).model for seed in range(5))
