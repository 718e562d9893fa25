"""Replaces products over the last axis of [N, L, K] and [N, H, W, K] by a constant matrix by convolutions.

The convolution has kernel 1 and is between two Transposes. ONNX Runtime's QLinearMatMul and QLinearConv sum the same
products, and scale and round the sums in the same way.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.runtime import Array

RANKS = (3, 4)


@dataclass(frozen=True)
class _Matrix:
    """A constant quantized matrix [K, M]; scale and zero point are per tensor or per channel of M."""

    values: Array
    scale: Array
    zero_point: Array

    def kernel(self, rank: int) -> Array:
        """Returns the weight [M, K, 1] or [M, K, 1, 1] of a convolution of tensors with that rank."""
        turned = np.ascontiguousarray(self.values.T)
        return turned.reshape([*turned.shape, *[1] * (rank - 2)])


@dataclass(frozen=True)
class _Matrices:
    """Constant quantized matrices [G, K, M], one for each index of the first dimension after the batch.

    They are quantized per tensor.
    """

    values: Array
    scale: Array
    zero_point: Array

    @property
    def kernel(self) -> Array:
        """The weight [G * M, K, 1] of a convolution with G groups."""
        turned = np.ascontiguousarray(self.values.swapaxes(1, 2))
        return turned.reshape(-1, turned.shape[2], 1)


def spread_products(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model with products of rank 3 and 4 by constants replaced by convolutions."""
    editor = Editor(model)
    for node in model.nodes:
        if len(model.shapes[node.input[0]] if node.input else ()) not in RANKS or model.is_constant(node.input[0]):
            continue
        if node.op_type == "QLinearMatMul":
            _spread_integer(editor, node)
        elif node.op_type == "MatMul":
            _spread_real(editor, node)
    return editor.finish()


def _spread_integer(editor: Editor, node: onnx.NodeProto) -> None:
    """Replaces QLinearMatMul by QLinearConv."""
    model = editor.model
    if not all(model.is_constant(name) for name in node.input[3:6]):
        return
    values, scale, zero_point = (model.constants[name] for name in node.input[3:6])
    scale = scale.astype(np.float32)
    matrix = _matrix(values, scale, zero_point)
    if matrix is None and _is_one_for_each(model, node, values) and scale.size == zero_point.size == 1:
        several = _Matrices(values.reshape(values.shape[-3:]), scale.reshape(()), zero_point.reshape(()))
        _convolve_groups(editor, node, "QLinearConv", several, [*node.input[1:3]], [*node.input[6:8]])
    elif matrix is not None:
        rank = len(model.shapes[node.input[0]])
        weight = _constants(editor, node, matrix, rank)
        _convolve(editor, [node], "QLinearConv", [*node.input[1:3], *weight, *node.input[6:8]])


def _spread_real(editor: Editor, node: onnx.NodeProto) -> None:
    """Replaces DequantizeLinear, MatMul, [Add of a bias for each channel] by DequantizeLinear, Conv."""
    found = _dequantized(editor.model, node.input[1])
    if found is None:
        _spread_several(editor, node)
        return
    rank = len(editor.model.shapes[node.input[0]])
    names = _constants(editor, node, found, rank)
    weight = editor.fresh(f"{node.output[0]}_kernel_real")
    editor.add("DequantizeLinear", names, weight, node, axis=0)
    add = _bias_add(editor.model, node, found.values.shape[1])
    if add is None:
        _convolve(editor, [node], "Conv", [weight])
    else:
        bias = next(name for name in add.input if name != node.output[0])
        _convolve(editor, [node, add], "Conv", [weight, _flat(editor, add, bias)])


def _is_one_for_each(model: Model, node: onnx.NodeProto, values: Array) -> bool:
    """Whether a constant holds a matrix for each index of the first operand's first dimension after the batch."""
    shape = model.shapes[node.input[0]]
    several = values.ndim in (3, 4) and values.shape[:-3] in ((), (1,))
    return len(shape) == 4 and several and values.shape[-3] == shape[1] > 1 and values.shape[-2] == shape[3]


def _spread_several(editor: Editor, node: onnx.NodeProto) -> None:
    """Replaces DequantizeLinear of several matrices, MatMul by DequantizeLinear, Conv with one group per matrix."""
    model = editor.model
    quantizer = model.producers.get(node.input[1])
    if quantizer is None or quantizer.op_type != "DequantizeLinear" or not model.is_constant(node.input[1]):
        return
    values, scale = model.constants[quantizer.input[0]], model.constants[quantizer.input[1]]
    zero = model.constant(quantizer, 2)
    if values.dtype in BYTES and scale.size == 1 and _is_one_for_each(model, node, values):
        zero = np.zeros((), values.dtype) if zero is None else zero.reshape(())
        _convolve_groups(editor, node, "Conv", _Matrices(values.reshape(values.shape[-3:]), scale.reshape(()), zero), [], [])


def _convolve_groups(editor: Editor, node: onnx.NodeProto, operator: str, matrices: _Matrices, x: list[str],
                     y: list[str]) -> None:
    """Replaces a product [N, G, L, K] by [G, K, M] by a grouped convolution; `x` and `y` name scales and zero points."""
    output, (groups, depth, width) = node.output[0], matrices.values.shape
    rows = editor.model.shapes[node.input[0]][2]
    name = node.name or output
    weight = [editor.constant(f"{name}_kernel", matrices.kernel), editor.constant(f"{name}_kernel_scale", matrices.scale),
              editor.constant(f"{name}_kernel_zero_point", matrices.zero_point)]
    editor.remove([node])
    turned, given, made, apart = (editor.fresh(f"{output}_{end}") for end in ("turned", "given", "made", "apart"))
    editor.add("Transpose", [node.input[0]], turned, node, perm=[0, 1, 3, 2])
    shape = editor.constant(f"{given}_shape", np.array([0, groups * depth, rows]))
    editor.add("Reshape", [turned, shape], given, node)
    if operator == "Conv":
        weight = [editor.add("DequantizeLinear", weight, editor.fresh(f"{name}_kernel_real"), node)]
    editor.add(operator, [given, *x, *weight, *y], made, node, group=groups)
    editor.add("Reshape", [made, editor.constant(f"{apart}_shape", np.array([0, groups, width, rows]))], apart, node)
    editor.add("Transpose", [apart], output, node, perm=[0, 1, 3, 2])


def _matrix(values: Array, scale: Array, zero_point: Array) -> _Matrix | None:
    """Returns the matrix; None if there are several, or if zero points differ, for which ONNX Runtime has no convolution."""
    if values.ndim < 2 or any(extent != 1 for extent in values.shape[:-2]) or np.unique(zero_point).size > 1:
        return None
    height, width = values.shape[-2:]
    values, count = values.reshape(height, width), scale.size
    if count not in (1, width):
        return None
    scale = scale.reshape(-1) if count > 1 else scale.reshape(())
    zero = np.full(scale.shape, zero_point.reshape(-1)[0] if zero_point.size else 0, values.dtype)
    return _Matrix(values, scale, zero)


def _dequantized(model: Model, value: str) -> _Matrix | None:
    """Returns the matrix that a DequantizeLinear dequantizes, possibly transposed afterwards, as in PyTorch's Linear."""
    node = model.producers.get(value)
    turned = node is not None and node.op_type == "Transpose"
    if node is not None and turned:
        rank = len(model.shapes[value])
        if list(attribute(node, "perm", range(rank)[::-1])) != [*range(rank - 2), rank - 1, rank - 2]:
            return None
        node = model.producers.get(node.input[0])
    if node is None or node.op_type != "DequantizeLinear" or not all(model.is_constant(name) for name in node.input):
        return None
    values, scale = model.constants[node.input[0]], model.constants[node.input[1]]
    zero = model.constant(node, 2)
    rank = values.ndim
    if values.dtype not in BYTES or rank < 2:
        return None
    if scale.size > 1 and int(attribute(node, "axis", 1)) % rank != rank - (2 if turned else 1):
        return None
    values = values.swapaxes(-1, -2) if turned else values
    return _matrix(values, scale, np.zeros((), values.dtype) if zero is None else zero)


def _constants(editor: Editor, node: onnx.NodeProto, matrix: _Matrix, rank: int) -> list[str]:
    name = node.name or node.output[0]
    return [
        editor.constant(f"{name}_kernel", matrix.kernel(rank)),
        editor.constant(f"{name}_kernel_scale", matrix.scale),
        editor.constant(f"{name}_kernel_zero_point", matrix.zero_point),
    ]


def _bias_add(model: Model, node: onnx.NodeProto, channels: int) -> onnx.NodeProto | None:
    """Returns the Add of a constant [M] that is the only reader of a MatMul's result, or None."""
    reader = model.only_reader(node.output[0])
    if reader is None or reader.op_type != "Add":
        return None
    constants = [model.constants[name] for name in reader.input if model.is_constant(name)]
    return reader if any(constant.size == channels == (constant.shape or (0,))[-1] for constant in constants) else None


def _flat(editor: Editor, add: onnx.NodeProto, bias: str) -> str:
    """Returns a bias with one dimension, as a convolution takes it."""
    if len(editor.model.shapes[bias]) == 1:
        return bias
    shape = editor.constant(f"{add.output[0]}_bias_shape", np.array([-1], np.int64))
    return editor.add("Reshape", [bias, shape], editor.fresh(f"{add.output[0]}_bias"), add)


def _convolve(editor: Editor, nodes: list[onnx.NodeProto], operator: str, operands: list[str]) -> None:
    """Replaces the product and the following Add by a convolution between two Transposes."""
    product, output = nodes[0], nodes[-1].output[0]
    rank = len(editor.model.shapes[product.input[0]])
    editor.remove(nodes)
    moved, result = (editor.fresh(f"{output}_{end}_channels_first") for end in ("given", "made"))
    editor.add("Transpose", [product.input[0]], moved, product, perm=[0, rank - 1, *range(1, rank - 1)])
    editor.add(operator, [moved, *operands], result, product)
    editor.add("Transpose", [result], output, product, perm=[0, *range(2, rank), 1])
