"""Rules for operators on operands stored in another layout: element-wise ones, and those along certain dimensions.

A rule returns whether it could be applied; if it returns False, it has changed nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import FUNCTIONS, NOTHING
from arrayloom.compiler.frontend.opsets import PAD_OPSET, SOFTMAX_OPSET
from arrayloom.compiler.frontend.rewriting.layout.order import Layout, plain
from arrayloom.compiler.frontend.rewriting.layout.placement import REDUCTIONS, reduced_axes
from arrayloom.compiler.frontend.rewriting.layout.propagation import Propagation

Rule = Callable[[Propagation, onnx.NodeProto], bool]



def common_layout(work: Propagation, node: onnx.NodeProto, operands: Sequence[str]) -> Layout | None:
    """Returns the layout of several operands that needs the fewest Transposes; None if it is the model's own."""
    rank = len(work.model.shapes[node.output[0]])
    if not operands or any(len(work.model.shapes[name]) != rank for name in operands):
        return None
    layouts = list(dict.fromkeys(work.layout(name) for name in operands))
    flattened = any(layout.unflattened is not None for layout in layouts)
    if len(layouts) > 1 and flattened:
        return None

    def cost(layout: Layout) -> tuple[int, int]:
        added = [work.conversion(name, layout) for name in operands]
        return sum(mixing for mixing, _ in added), sum(count for _, count in added)

    best = min([layout for layout in layouts if not layout.is_plain] or [plain(rank)], key=cost)
    return best if not best.is_plain and cost(best) <= cost(plain(rank)) else None


def elementwise(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for element-wise functions; constants are broadcast."""
    return _elementwise(work, node, range(len(node.input)))


def quantized_elementwise(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for QLinearAdd and QLinearMul, whose operands are the first and the fourth input."""
    return _elementwise(work, node, (0, 3))


def quantized_function(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for QLinearSigmoid and other functions of one operand, which is their first input."""
    return _elementwise(work, node, (0,))


def _elementwise(work: Propagation, node: onnx.NodeProto, positions: Sequence[int]) -> bool:
    model, given = work.model, [node.input[index] for index in positions if node.input[index]]
    layout = common_layout(work, node, [name for name in given if not model.is_constant(name)])
    rank = len(model.shapes[node.output[0]])
    constant = [name for name in given if model.is_constant(name)]
    if layout is None or any(model.constants[name].ndim > rank for name in constant):
        return False
    inputs = list(node.input)
    for index in positions:
        if (name := inputs[index]) in constant:
            inputs[index] = work.constants.spread(name, layout, rank)
        elif name:
            inputs[index] = work.stored(node, name, layout)
    work.change(node, inputs, [layout] * len(node.output))
    return True


def per_channel(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for BatchNormalization, whose channels must be dimension 1."""
    layout = work.layout(node.input[0])
    if layout.unflattened is not None or layout.order[1] != 1:
        return False
    return _follow(work, node, layout, layout)


def quantizer(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for QuantizeLinear and DequantizeLinear, per tensor or along an axis."""
    model, layout = work.model, work.layout(node.input[0])
    if not model.is_constant(node.input[1]) or attribute(node, "block_size", 0):
        return False
    if model.constants[node.input[1]].size == 1:
        return _follow(work, node, layout, layout)
    if layout.unflattened is not None:
        return False
    return _follow(work, node, layout, layout, axis=_mapped(layout, attribute(node, "axis", 1)))


def concatenation(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Concat and QLinearConcat; the operands of the latter are every third input from the third on."""
    positions = range(len(node.input)) if node.op_type == "Concat" else range(2, len(node.input), 3)
    names = [node.input[index] for index in positions]
    constant = [name for name in names if work.model.is_constant(name)]
    layout = common_layout(work, node, [name for name in names if name not in constant])
    if layout is None or layout.unflattened is not None:
        return False
    inputs = list(node.input)
    for index in positions:
        name = inputs[index]
        inputs[index] = (work.constants.spread(name, layout, len(layout.order)) if name in constant
                         else work.stored(node, name, layout))
    work.change(node, inputs, [layout], axis=_mapped(layout, attribute(node, "axis")))
    return True


def along_axis(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Split, TopK, Softmax and other operators along one axis that keep all dimensions."""
    layout = work.layout(node.input[0])
    softmax = "Softmax" in node.op_type or node.op_type == "Hardmax"
    opset = attribute(node, "opset", SOFTMAX_OPSET) if node.domain else work.model.opset
    if layout.unflattened is not None or (softmax and opset < SOFTMAX_OPSET):
        return False
    default = 0 if node.op_type == "Split" else -1
    return _follow(work, node, layout, layout, axis=_mapped(layout, attribute(node, "axis", default)))


def gather(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Gather with a constant list of indices, or a single index, which removes the dimension."""
    layout = work.layout(node.input[0])
    if layout.unflattened is not None or not work.model.is_constant(node.input[1]):
        return False
    count = work.model.constants[node.input[1]].ndim
    axis = int(attribute(node, "axis", 0)) % len(layout.order)
    if count > 1 or axis == 0:
        return False
    result = layout if count else layout.without([axis])
    return _follow(work, node, layout, result, axis=layout.order[axis])


def reduction(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for ReduceMean and other reductions over any dimensions except the batch."""
    layout, model = work.layout(node.input[0]), work.model
    axes = reduced_axes(model, node)
    if layout.unflattened is not None or not axes or 0 in axes:
        return False
    result = layout if attribute(node, "keepdims", 1) else layout.without(axes)
    mapped = sorted(layout.order[axis] for axis in axes)
    if model.constant(node, 1) is None:
        return _follow(work, node, layout, result, axes=mapped)
    name = work.editor.constant(f"{node.output[0]}_axes", np.array(mapped, np.int64))
    work.change(node, [work.stored(node, node.input[0], layout), name, *node.input[2:]], [result])
    return True


def arg_reduction(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for ArgMax and ArgMin over any dimension except the batch."""
    layout = work.layout(node.input[0])
    axis = int(attribute(node, "axis", 0)) % len(layout.order)
    if layout.unflattened is not None or axis == 0:
        return False
    result = layout if attribute(node, "keepdims", 1) else layout.without([axis])
    return _follow(work, node, layout, result, axis=layout.order[axis])


def cut(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Slice with constant bounds."""
    layout, model = work.layout(node.input[0]), work.model
    if layout.unflattened is not None or any(name and not model.is_constant(name) for name in node.input[1:]):
        return False
    given = model.constant(node, 3)
    axes = range(model.constants[node.input[1]].size) if given is None else given.tolist()
    mapped = np.array([_mapped(layout, axis) for axis in axes], model.constants[node.input[1]].dtype)
    inputs = [work.stored(node, node.input[0], layout), *node.input[1:3]]
    inputs += [work.editor.constant(f"{node.output[0]}_axes", mapped), *node.input[4:]]
    work.change(node, inputs, [layout])
    return True


def pad(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Pad with constant amounts, for all dimensions or the given axes."""
    layout, model = work.layout(node.input[0]), work.model
    constant = all(not name or model.is_constant(name) for name in node.input[1:])
    if layout.unflattened is not None or model.opset < PAD_OPSET or not constant:
        return False
    rank, amounts = len(layout.order), model.constants[node.input[1]]
    given = model.constant(node, 3)
    axes = list(range(rank)) if given is None else given.tolist()
    arranged = np.zeros((2, rank), amounts.dtype)
    arranged[:, [_mapped(layout, axis) for axis in axes]] = amounts.reshape(2, -1)
    name = work.editor.constant(f"{node.output[0]}_amounts", arranged.ravel())
    work.change(node, [work.stored(node, node.input[0], layout), name, *node.input[2:3]], [layout])
    return True


def per_dimension(work: Propagation, node: onnx.NodeProto) -> bool:
    """Rule for Resize, Upsample, Tile and Expand, whose constants hold one number for each dimension."""
    layout, model = work.layout(node.input[0]), work.model
    constant = all(not name or model.is_constant(name) for name in node.input[1:])
    if layout.unflattened is not None or not constant or attribute(node, "axes"):
        return False
    rank = len(layout.order)
    inputs = list(node.input)
    for index, name in enumerate(inputs):
        if index == 0 or not name or model.constants[name].size == 0:
            continue
        values = model.constants[name]
        if values.size > rank or (values.size < rank and node.op_type != "Expand"):
            return False  # a region of interest, or more dimensions than the operand has
        padded = np.concatenate([np.ones(rank - values.size, values.dtype), values])
        arranged = np.empty_like(padded)
        arranged[list(layout.order)] = padded
        inputs[index] = work.editor.constant(f"{node.output[0]}_{index}", arranged)
    inputs[0] = work.stored(node, node.input[0], layout)
    work.change(node, inputs, [layout])
    return True


def _mapped(layout: Layout, axis: int) -> int:
    """Returns the stored dimension of a dimension of the value, which may be negative."""
    return layout.order[int(axis) % len(layout.order)]


def _follow(work: Propagation, node: onnx.NodeProto, layout: Layout, result: Layout, **attributes: int | list[int]) -> bool:
    """Makes a node read its first input as it is stored, and store all its outputs in the layout `result`."""
    if any(work.is_moved(name) for name in node.input[1:]):
        return False
    inputs = [work.stored(node, node.input[0], layout), *node.input[1:]]
    work.change(node, inputs, [result] * len(node.output), **attributes)
    return True


RULES: dict[str, Rule] = {
    **dict.fromkeys((*FUNCTIONS, *NOTHING, "Cast"), elementwise),
    "BatchNormalization": per_channel,
    "QuantizeLinear": quantizer,
    "DequantizeLinear": quantizer,
    "Concat": concatenation,
    **dict.fromkeys(("Split", "Softmax", "LogSoftmax", "Hardmax", "TopK"), along_axis),
    "Gather": gather,
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(("ArgMax", "ArgMin"), arg_reduction),
    "Slice": cut,
    "Pad": pad,
    **dict.fromkeys(("Resize", "Upsample", "Tile", "Expand"), per_dimension),
}

MICROSOFT_RULES: dict[str, Rule] = {
    "QuantizeLinear": quantizer,
    "DequantizeLinear": quantizer,
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), quantized_elementwise),
    **dict.fromkeys(("QLinearLeakyRelu", "QLinearSigmoid"), quantized_function),
    "QLinearConcat": concatenation,
    "QLinearSoftmax": along_axis,
    "Gelu": elementwise,
}
