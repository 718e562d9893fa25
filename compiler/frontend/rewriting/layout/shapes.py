"""Reshapes of operands that are stored in another layout, and matrix products after flattening."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.rewriting.layout.order import Layout, plain, reshaped
from arrayloom.compiler.frontend.rewriting.layout.propagation import Propagation

_WEIGHT_INPUTS = {"MatMul": 1, "Gemm": 1, "QLinearMatMul": 3, "QGemm": 3}


def reshape(work: Propagation, node: onnx.NodeProto) -> bool:
    """Applies Reshape, Flatten, Squeeze or Unsqueeze to the stored value, or flattens it to [N, F] and records the order."""
    value = node.input[0]
    layout, target = work.layout(value), work.model.shapes[node.output[0]][1:]
    shape = work.model.shapes[value]
    extents = layout.unflattened or layout.stored_shape(shape)[1:]
    axes = layout.order[1:]
    found = reshaped([extents[axis - 1] for axis in axes], axes, target)
    if shape[:1] != work.model.shapes[node.output[0]][:1]:
        return False  # only the host may change the batch
    if found is not None:
        work.reshape(node, found[0], Layout(found[1]))
        return True
    if len(target) != 1:
        return False
    work.reshape(node, target, Layout(layout.order, tuple(extents)))
    return True


def matrix_product(work: Propagation, node: onnx.NodeProto) -> bool:
    """Permutes the rows of the constant weights of a product with a flattened value to the order of the stored features."""
    layout, index = work.layout(node.input[0]), _WEIGHT_INPUTS[node.op_type]
    weight = node.input[index]
    constant = all(not name or work.model.is_constant(name) for name in node.input[1:])
    if layout.unflattened is None or not constant or attribute(node, "transA", 0) or len(work.model.shapes[weight]) != 2:
        return False
    inputs = [work.stored(node, node.input[0], layout), *node.input[1:]]
    axis = 1 if attribute(node, "transB", 0) else 0
    inputs[index] = work.constants.picked(weight, axis, np.argsort(layout.sources()))
    work.change(node, inputs, [plain(len(work.model.shapes[node.output[0]]))])
    return True
