"""Arbitrary selections of pixels, and columns before rows, with scratchpads that hold the tensors and one that does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from verification import assert_exact

from arrayloom.compiler import compile_graph
from arrayloom.compiler.backend.operations import PixelRearrangement, Rearrangement
from arrayloom.compiler.backend.selections import selections
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Move, MovePixels
from arrayloom.isa.config import Config, load_config

CRAMPED = replace(load_config("tiny"), name="cramped", activation_bytes=4096, weight_words=64, parameter_entries=256)
SHAPE = (8, 12, 10)


def _model(move: Callable[[Network, str], str], channels: int, shape: tuple[int, ...] = SHAPE) -> onnx.ModelProto:
    """Two convolutions with the movement between them, so it is neither at the input nor at the output."""
    net = Network(opset=17)
    rng = np.random.default_rng(0)

    def convolution(x: str, inputs: int, outputs: int) -> str:
        weight = net.constant(rng.integers(-90, 90, (outputs, inputs, 3, 3)).astype(np.int8))
        pair = [net.constant(np.float32(0.05)), net.constant(np.uint8(90))]
        scales = [net.constant(np.float32(0.002)), net.constant(np.int8(0))]
        return net.node("QLinearConv", [x, *pair, weight, *scales, *pair], pads=[1] * 4)

    moved = move(net, convolution("x", shape[0], shape[0]))
    return net.model({"x": (np.uint8, ["N", *shape])}, [convolution(moved, channels, 4)])


def _reshaped(*target: int) -> Callable[[Network, str], str]:
    return lambda net, x: net.node("Reshape", [x, net.constant(np.array([0, *target]))])


def _resized(net: Network, x: str) -> str:
    real = net.dequantize(x, 0.05, 90)
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return net.quantize(net.node("Resize", [real, "", scales], **attributes), 0.05, 90)


MOVES: dict[str, tuple[Callable[[Network, str], str], int]] = {
    "one row": (_reshaped(8, 1, 120), 8), "one column": (_reshaped(8, 120, 1), 8), "wider": (_reshaped(8, 4, 30), 8),
    "other channels": (_reshaped(16, 6, 10), 16),
    "columns by rows": (lambda net, x: _reshaped(8, 8, 15)(net, net.node("Transpose", [x], perm=[0, 1, 3, 2])), 8),
    "larger": (lambda net, x: net.node("DepthToSpace", [x], blocksize=2), 2), "aligned": (_resized, 8),
}


@pytest.mark.parametrize("config", [load_config("tiny"), load_config("16x16"), CRAMPED], ids=["tiny", "16x16", "cramped"])
@pytest.mark.parametrize("name", MOVES)
def test_movements_between_convolutions(name: str, config: Config) -> None:
    program, _ = assert_exact(_model(*MOVES[name]), config)
    assert find_stall(program, config) is None
    assert find_race(program, config, 1) is None


def test_columns_are_moved_first_where_rows_are_repeated() -> None:
    graph = import_model(_model(_resized, 8)).graph
    move = next(op for op in graph.ops if isinstance(op, Move))
    first, second = selections(move, SHAPE, padding=0)
    assert isinstance(first, Rearrangement)
    assert isinstance(second, Rearrangement)
    assert first.rows.tolist() == list(range(SHAPE[1]))
    assert second.rows.tolist() == move.rows.tolist()


def test_a_reshape_is_one_rearrangement_in_few_instructions() -> None:
    graph = import_model(_model(_reshaped(8, 4, 30), 8)).graph
    move = next(op for op in graph.ops if isinstance(op, MovePixels))
    (operation,) = selections(move, SHAPE, padding=0)
    assert isinstance(operation, PixelRearrangement)
    assert operation.source_rows(1, 2, SHAPE[1]) == (3, 6)
    assert operation.most_source_rows(2, SHAPE[1]) == 6
    assert sum(1 for _ in compile_graph(graph, load_config("tiny"))) < 700
