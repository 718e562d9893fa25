"""Prepares transformers: products of tokens become convolutions, and factors of queries and keys meet the scores.

A product over the last axis of [N, T, C] by a constant matrix, with the bias and the scale of each channel that follow
it, is written as a convolution with kernel 1 between two Transposes: it is rounded once, bias included, and its weights
get a scale for each channel. A factor such as 1 / sqrt(d) that exporters put before the product of queries and keys would
cost a rounding there; after the product it is part of the scale of the scores.
"""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attention import is_product
from arrayloom.compiler.frontend.kinds import moves
from arrayloom.compiler.frontend.lowering.scaling import factor_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.runtime import Array

_RANKS = (3, 4)     # of what a convolution with kernel 1 takes the place of a product of


def needs_attention(model: Model) -> bool:
    """Whether a float network has products of activations or layer normalization, for which accelerators have a unit."""
    return any(is_product(model, node) or node.op_type == "LayerNormalization" for node in model.nodes)


def with_convolutions(model: Model) -> Model:
    """The network with products by constant matrices, and the biases added to them, as convolutions."""
    editor = Editor(model)
    for node in model.nodes:
        if node.op_type == "MatMul" and not model.is_constant(node.output[0]):
            _convolve(editor, node)
    return editor.finish()


def _convolve(editor: Editor, node: onnx.NodeProto) -> None:
    model, (x, matrix) = editor.model, node.input
    rank = len(model.shapes[x])
    if rank not in _RANKS or not model.is_constant(matrix) or model.is_constant(x) or len(model.shapes[matrix]) != 2:
        return
    kernel, nodes = model.constants[matrix].T, [node]
    bias = _constant_after(model, node, "Add", len(kernel))
    if bias is not None:
        nodes.append(model.consumers[node.output[0]][0])
    scale = _constant_after(model, nodes[-1], "Mul", len(kernel))
    if scale is not None:
        nodes.append(model.consumers[nodes[-1].output[0]][0])
        kernel, bias = kernel * scale[:, np.newaxis], None if bias is None else bias * scale
    last = nodes[-1]
    turned = np.ascontiguousarray(kernel).reshape(*kernel.shape, *[1] * (rank - 2))
    operands = [editor.constant(f"{node.name}_kernel", turned)]
    if bias is not None:
        operands.append(editor.constant(f"{node.name}_bias", bias))
    editor.remove(nodes)
    given, made = (editor.fresh(f"{last.output[0]}_{end}_channels_first") for end in ("given", "made"))
    editor.add("Transpose", [x], given, node, perm=[0, rank - 1, *range(1, rank - 1)])
    editor.add("Conv", [given, *operands], made, node)
    editor.add("Transpose", [made], last.output[0], node, perm=[0, *range(2, rank), 1])


def _constant_after(model: Model, node: onnx.NodeProto, operator: str, channels: int) -> Array | None:
    """The constant for each channel that alone meets the result of a node, in that operator."""
    reader = model.only_reader(node.output[0])
    for name in reader.input if reader is not None and reader.op_type == operator else ():
        if model.is_constant(name) and model.constants[name].size == channels == (model.shapes[name] or (0,))[-1]:
            return model.constants[name].reshape(-1)
    return None


def with_scaled_scores(model: Model) -> Model:
    """The network with factors of operands of products of activations after the product."""
    editor = Editor(model)
    for node in model.nodes:
        if is_product(model, node):
            _scale_after(editor, node)
    return editor.finish()


def _scale_after(editor: Editor, node: onnx.NodeProto) -> None:
    factor = np.float32(1)
    for place, value in enumerate(node.input):
        way = _way_to_factor(editor.model, value)
        if not way:
            continue
        scaled = factor_of(editor.model, way[-1])
        assert scaled is not None
        factor *= scaled
        editor.maker(node.output[0]).input[place] = _without_factor(editor, way)
    if factor != 1:
        product, result = editor.fresh(f"{node.output[0]}_unscaled"), node.output[0]
        editor.rename(result, product)
        editor.add("Mul", [product, editor.constant(f"{result}_factor", float(factor), np.float32)], result, node)


def _way_to_factor(model: Model, value: str) -> list[onnx.NodeProto]:
    """The movements from a value back to a product with one positive constant, that last; empty where there is none."""
    way: list[onnx.NodeProto] = []
    while (node := model.producers.get(value)) is not None and not model.is_constant(value):
        way.append(node)
        if factor_of(model, node) is not None:
            return way
        if not moves(node) or node.op_type == "Pad":
            return []
        value = node.input[0]
    return []


def _without_factor(editor: Editor, way: list[onnx.NodeProto]) -> str:
    """The value that the movements give when they begin before the factor."""
    scale = way[-1]
    value = next(name for name in scale.input if not editor.model.is_constant(name))
    for node in reversed(way[:-1]):
        copy = editor.fresh(f"{node.output[0]}_unscaled")
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        value = editor.add(node.op_type, [value, *node.input[1:]], copy, node, domain=node.domain, **attributes)
    return value
