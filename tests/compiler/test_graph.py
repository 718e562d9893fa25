"""The rules of the integer graph; each violation is reported with its node."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from arrayloom.compiler.errors import GraphError
from arrayloom.compiler.graph import (
    Add,
    Clamp,
    Conv,
    Graph,
    GraphInput,
    GraphOutput,
    Lookup,
    MaxPool,
    Move,
    Op,
    Tensor,
    View,
)
from arrayloom.compiler.legality import check_graph

SHAPE = (4, 6, 6)
BYTES = np.dtype(np.uint8)


def _graph(op: Op, shape: tuple[int, int, int], dtype: Any = np.uint8) -> Graph:
    x = Tensor("x", SHAPE, BYTES, SHAPE)
    y = Tensor("y", shape, np.dtype(dtype), shape)
    given = [GraphInput("x", SHAPE, BYTES, "x")]
    return Graph({"x": x, "y": y}, [op], given, [GraphOutput("y", "y")], onnx.ModelProto())


def _conv(**changes: Any) -> Conv:
    conv = Conv(
        name="product",
        op_type="QLinearConv",
        output="y",
        x="x",
        weight=np.ones((3, 4, 3, 3), np.int16),
        bias=np.zeros(3, np.int32),
        x_zero=1,
        scale=np.ones(3, np.float32),
        y_zero=2,
    )
    return replace(conv, **changes)


def _named(kind: type[Op], **fields: Any) -> Op:
    return kind(name="n", op_type="Operator", output="y", x="x", **fields)


TABLE = np.zeros((1, 256), np.uint8)
CHANNELS = np.arange(4, dtype=np.int32)


def test_a_legal_graph_passes() -> None:
    check_graph(_graph(_conv(), (3, 4, 4)))
    check_graph(_graph(_conv(strides=(2, 2), pads=(1, 0, 0, 1)), (3, 3, 3)))


def _move(**changed: object) -> Move:
    places = np.arange(6, dtype=np.int32)
    fields = {"channels": CHANNELS, "rows": places, "columns": places, "table": TABLE, "fill": 0} | changed
    return Move(name="n", op_type="Slice", output="y", x="x", **fields)  # type: ignore[arg-type]


BROKEN: list[tuple[Op, tuple[int, int, int], str]] = [
    (_conv(), (3, 5, 4), r"node 'product' \(QLinearConv\): output shape \(3, 5, 4\) does not follow from the windows"),
    (_conv(weight=np.ones((3, 4, 3, 3), np.int8)), (3, 4, 4), "weight is int8 of rank 4, not int16 of rank 4"),
    (_conv(weight=np.full((3, 4, 3, 3), 256, np.int16)), (3, 4, 4), r"a weight lies outside -255\.\.255"),
    (_conv(weight=np.ones((3, 2, 3, 3), np.int16)), (3, 4, 4), r"4 channels, weight \(3, 2, 3, 3\)"),
    (_conv(group=2, weight=np.ones((3, 2, 3, 3), np.int16)), (3, 4, 4), "3 output channels do not divide into 2"),
    (_conv(bias=np.zeros(2, np.int32)), (3, 4, 4), r"bias is int32\(2,\)"),
    (_conv(scale=np.zeros(3, np.float32)), (3, 4, 4), "a scale is not a positive finite float32"),
    (_conv(x_zero=256), (3, 4, 4), "zero point 256 of 'x' is outside uint8"),
    (_conv(pads=(-1, 0, 0, 0)), (3, 4, 4), "must not be negative"),
    (_conv(x="z"), (3, 4, 4), "node 'product' reads tensor 'z' before it is produced"),
    (_conv(output="x"), (3, 4, 4), "node 'product' produces tensor 'x' a second time"),
    (_conv(output="z"), (3, 4, 4), "produces tensor 'z', which is not declared"),
    (_named(Clamp, lo=9, hi=3), SHAPE, r"bounds 9\.\.3 are not in order"),
    (_named(Lookup, table=np.zeros((3, 256), np.uint8)), SHAPE, r"legal rows are \(1, 4\)"),
    (_named(Lookup, table=np.zeros((1, 256), np.int8)), SHAPE, "table has dtype int8, output has uint8"),
    (_named(View), (4, 36, 1), r"output shape is \(4, 36, 1\), its inputs give \(4, 6, 6\)"),
    (_named(MaxPool, kernel=(2, 2), strides=(0, 1), pads=(0, 0, 0, 0)), (4, 5, 5), "must be 1 or more"),
    (_move(channels=CHANNELS + 1), SHAPE, "a source channel does not exist"),
    (_move(rows=np.arange(6, dtype=np.int32) - 2), SHAPE, "a source row does not exist"),
    (_move(columns=np.arange(5, dtype=np.int32)), SHAPE, r"columns have shape \(5,\)"),
    (_move(table=np.zeros((3, 256), np.uint8)), SHAPE, r"legal rows are \(1, 4\)"),
]


@pytest.mark.parametrize("index", range(len(BROKEN)))
def test_each_breach_names_the_node(index: int) -> None:
    op, shape, message = BROKEN[index]
    with pytest.raises(GraphError, match=message):
        check_graph(_graph(op, shape))


def test_operands_of_an_add_agree() -> None:
    one = np.float32(1)
    add = Add(name="sum", op_type="QLinearAdd", output="y", a="x", b="x", a_ratio=one, b_ratio=one, offset=one)
    check_graph(_graph(add, SHAPE))
    with pytest.raises(GraphError, match=r"node 'sum' .*: operands and output differ in dtype"):
        check_graph(_graph(add, SHAPE, np.int8))
    with pytest.raises(GraphError, match=r"node 'sum' .*: offset is not a finite float32"):
        check_graph(_graph(replace(add, offset=np.float32(np.inf)), SHAPE))


def test_tensors_are_declared_rightly() -> None:
    graph = _graph(_conv(), (3, 4, 4))
    graph.tensors["z"] = Tensor("z", (1, 1, 1), BYTES, (1,))
    with pytest.raises(GraphError, match="tensor 'z' is declared and never produced"):
        check_graph(graph)
    graph.tensors["z"] = Tensor("z", (1, 1, 1), np.dtype(np.int16), (1,))
    with pytest.raises(GraphError, match="tensor 'z' has dtype int16; legal are uint8 and int8"):
        check_graph(graph)
    graph.tensors["z"] = Tensor("z", (1, 2, 1), BYTES, (1,))
    with pytest.raises(GraphError, match=r"tensor 'z' has \(1, 2, 1\) elements but ONNX shape \(1,\)"):
        check_graph(graph)


def test_outputs_are_produced() -> None:
    graph = _graph(_conv(), (3, 4, 4))
    graph.outputs.append(GraphOutput("z", "z"))
    with pytest.raises(GraphError, match="names tensor 'z', which no operation produces"):
        check_graph(graph)
