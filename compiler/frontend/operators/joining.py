"""Concatenation along an axis other than the channels, as a sum of moved operands."""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.moved import Part
from arrayloom.compiler.frontend.movement import match
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.graph import Tensor


def join(builder: Builder, node: onnx.NodeProto, xs: Sequence[Tensor], tables: Array) -> None:
    """Moves each operand to its position, through its lookup table, and adds the results, which are 0 elsewhere.

    Parameters
    ----------
    builder
        Receives the operations; the result of `node` is already declared.
    node
        The concatenation.
    xs
        The operands, as images.
    tables
        [operands, 256]: the lookup table of each operand.
    """
    y = builder.tensors[node.output[0]]
    rank = len(y.onnx_shape) + 1
    axis = attribute(node, "axis") % rank
    parts = []
    start = 0
    for x, table in zip(xs, tables, strict=True):
        index = np.full((1, *y.onnx_shape), -1, np.int64)
        shape = [1, *y.onnx_shape]
        shape[axis] = int(np.prod(x.shape)) * shape[axis] // int(np.prod(y.shape))
        place = [slice(None)] * rank
        place[axis] = slice(start, start + shape[axis])
        index[tuple(place)] = np.arange(np.prod(shape)).reshape(shape)
        parts.append(Part(x, match(index, x, y.shape), table[np.newaxis]))
        start += shape[axis]
    builder.add_sum(node, y.name, parts, fill=0)
