"""Operators that only move integers."""

from dataclasses import fields
from typing import Any

import numpy as np
import onnx

from compiler.frontend.builder import Builder
from compiler.frontend.movement import Movement, match, trace
from compiler.frontend.operators.elementwise import all_bytes
from compiler.frontend.report import RefusalError
from compiler.graph import Move, View


def view(builder: Builder, node: onnx.NodeProto) -> None:
    """Flatten, Reshape, Squeeze, Unsqueeze and Identity move nothing."""
    x = builder.tensor(node.input[0])
    builder.declare(node.output[0], x.shape)
    builder.add(View, node, x=x.name)


def move(builder: Builder, node: onnx.NodeProto) -> None:
    """Slice, Pad, Transpose, Split and Gather, where each coordinate of the output comes from one of the input."""
    x = builder.tensor(node.input[0])
    fill = _fill(builder, node)
    source = np.arange(np.prod(x.onnx_shape), dtype=np.int64).reshape(1, *x.onnx_shape)
    outputs = [name for name in node.output if name]
    for output, index in zip(outputs, trace(builder.model, node, source, fill_index=-1), strict=True):
        if index.size == source.size and np.array_equal(index.ravel(), source.ravel()):
            builder.declare(output, x.shape)
            builder.add(View, node, output, x=x.name)
            continue
        y = builder.declare(output)
        table = all_bytes(x.dtype).reshape(1, 256)
        builder.add(Move, node, output, x=x.name, **attributes(match(index, x, y)), table=table, fill=fill)


def attributes(movement: Movement) -> dict[str, Any]:
    """The fields of a movement as those of a Move."""
    return {field.name: getattr(movement, field.name) for field in fields(movement)}


def _fill(builder: Builder, node: onnx.NodeProto) -> int:
    if node.op_type != "Pad":
        return 0
    if len(node.input) > 2 and node.input[2] and not builder.model.is_constant(node.input[2]):
        raise RefusalError("its padding value is not constant", "pad with a constant")
    value = builder.model.constant(node, 2)
    return 0 if value is None else int(value.reshape(()))
