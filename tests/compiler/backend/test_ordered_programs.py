"""Tokens order every compiled program, and a residual add without its waits is found."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dropped_tokens import waits_of, without
from networks import Network

from arrayloom.compiler import compile_model
from arrayloom.isa.accesses import accesses
from arrayloom.isa.hazards import Finding, Hazard, find_hazards
from arrayloom.isa.instructions import ResidualInstruction
from arrayloom.isa.program import Program


def _quantized(network: Network, scale: float = 0.05) -> list[str]:
    return [network.constant(np.float32(scale)), network.constant(np.uint8(128))]


def _conv(network: Network, x: str, channels: int, outputs: int, kernel: int, stride: int = 1) -> str:
    weight = np.random.default_rng(len(network.nodes)).integers(-127, 128, (outputs, channels, kernel, kernel))
    parts = [x, *_quantized(network), network.constant(weight.astype(np.int8)), network.constant(np.float32(0.01)),
             network.constant(np.int8(0)), *_quantized(network)]
    return network.node("QLinearConv", parts, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)


def _add(network: Network, a: str, b: str) -> str:
    return network.node("QLinearAdd", [a, *_quantized(network), b, *_quantized(network), *_quantized(network)])


def small_resnet() -> Program:
    """A block that adds its input, one that adds a projection of it, and a sum of two results."""
    network = Network()
    stem = _conv(network, "x", 3, 8, 3)
    same = _add(network, _conv(network, _conv(network, stem, 8, 8, 3), 8, 8, 3), stem)
    inner = _conv(network, same, 8, 16, 3, stride=2)
    halved = _add(network, _conv(network, inner, 16, 16, 3), _conv(network, same, 8, 16, 1, stride=2))
    return compile_model(network.model({"x": (np.uint8, [1, 3, 8, 8])}, [_add(network, inner, halved)]), "tiny")


def _residuals(program: Program) -> Iterator[tuple[int, int, set[int]]]:
    """Each instruction that adds a residual, the last instruction that wrote words of it, and those words."""
    instructions, config = list(program), program.configuration
    for index, one in enumerate(instructions):
        if isinstance(one, ResidualInstruction) and one.add:
            operands = set(accesses(one.changed(add=0), config).reads.tolist())
            added = set(accesses(one, config).reads.tolist()) - operands
            writers = [(place, added.intersection(accesses(earlier, config).writes.tolist()))
                       for place, earlier in enumerate(instructions[:index])]
            yield index, *next((place, words) for place, words in reversed(writers) if words)


def test_residual_adds_that_do_not_wait_are_found() -> None:
    """Without the direct and indirect tokens between the last write of a residual and the add."""
    program = small_resnet()
    residuals = list(_residuals(program))
    assert len(residuals) > 4
    for add, writer, words in residuals:
        changed = without(program, [wait for wait in waits_of(program) if writer < wait[0] <= add])
        expected = Finding(Hazard.READ_AFTER_WRITE, add, writer, "scratchpad", min(words), max(words))
        assert expected in list(find_hazards(changed))


def test_no_token_of_residual_blocks_can_be_dropped() -> None:
    program = small_resnet()
    adds, found = {add for add, *_ in _residuals(program)}, set()
    for wait in waits_of(program):
        findings = list(find_hazards(without(program, [wait])))
        assert findings, wait
        found |= adds.intersection(one.later for one in findings)
    assert found     # for some adds, a single token enforces the order


@pytest.mark.parametrize("name", ["resnet18_int8_qop", "resnet50_int8_qop", "squeezenet1.0_int8_qop",
                                  "resnet20_cifar10_int8_qdq", "mlperf_tiny_resnet8_int8_qdq"])
def test_real_networks_are_in_order(shared_data: Path, name: str) -> None:
    assert list(find_hazards(compile_model(shared_data / "models" / f"{name}.onnx", "16x16"))) == []
