"""Restores the batch of values that lose it by movement, in a network for one image.

PyTorch exports an adaptive pooling with channels last as Reshape to [C], Gather and Reshape. With a batch fixed at 1, the
batch can be kept in between without changing the result.
"""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attributes_of
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.movement import Indices, in_place, trace
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.rewriting.editor import Editor


def regain_batch(model: Model) -> Model:
    """Returns the model with the batch kept in values that lose it by movement; the model itself if that is impossible."""
    lost = {name for name, shape in model.shapes.items() if not model.is_constant(name) and shape[:1] != (1,)}
    if model.open_batch or not lost or lost.intersection(model.outputs):
        return model
    editor = Editor(model)
    found: dict[str, str] = {}  # value without the batch -> the same value with it
    for node in model.nodes:
        concerned = lost.intersection(node.input) or lost.intersection(node.output)
        if concerned and not _regain(editor, node, found, lost):
            return model
    return editor.finish()


def _regain(editor: Editor, node: onnx.NodeProto, found: dict[str, str], lost: set[str]) -> bool:
    """Replaces a node that reads or computes a value without the batch; returns whether that is possible."""
    model, value = editor.model, node.input[0] if node.input else ""
    operands = [name for name in node.input if name and not model.is_constant(name)]
    if operands != [value] or (value in lost and value not in found) or len(node.output) != 1:
        return False
    output = node.output[0]
    made = output if output not in lost else editor.fresh(f"{output}_with_batch")
    source = found.get(value, value)
    if node.op_type in MOVEMENTS:
        index = _index(model, node)
        if index is None:
            return False
        editor.remove([node])
        _move(editor, node, (source, made), index)
    elif _keeps_places(model, node):
        attributes = attributes_of(node)
        editor.remove([node])
        editor.add(node.op_type, [source, *node.input[1:]], made, like=node, domain=node.domain, **attributes)
    else:
        return False
    if output in lost:
        found[output] = made
    return True


def _keeps_places(model: Model, node: onnx.NodeProto) -> bool:
    """Whether the node is element-wise and has the same result with an additional dimension in front."""
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return model.is_constant(node.input[1]) and model.constants[node.input[1]].size == 1
    return node.op_type in (*FUNCTIONS, *NOTHING, "Cast") and node.op_type != "BatchNormalization"


def _index(model: Model, node: onnx.NodeProto) -> Indices | None:
    """Returns the flat index of the source of each element; None if it is unknown or some elements are padding."""
    try:
        index = trace(model, node, in_place(model.shapes[node.input[0]]), fill_index=-1)[0]
    except RefusalError:
        return None
    return None if (index < 0).any() else index


def _move(editor: Editor, node: onnx.NodeProto, names: tuple[str, str], index: Indices) -> None:
    """Emits the movement that `node` does to one image, between `names`, two values with the batch."""
    (value, output), shape = names, editor.model.shapes[node.output[0]]
    extents = shape[1:] if shape[:1] == (1,) else shape
    if not np.array_equal(index.ravel(), np.arange(np.prod(editor.model.shapes[node.input[0]]))):
        value = _reshaped(editor, node, value, editor.fresh(f"{output}_flat"), (-1,))
        picks = editor.constant(f"{output}_picks", index.ravel())
        value = editor.add("Gather", [value, picks], editor.fresh(f"{output}_picked"), like=node, axis=1)
    _reshaped(editor, node, value, output, extents)


def _reshaped(editor: Editor, node: onnx.NodeProto, value: str, output: str, extents: tuple[int, ...]) -> str:
    shape = editor.constant(f"{output}_shape", np.array([0, *extents], np.int64))
    return editor.add("Reshape", [value, shape], output, like=node)
