"""Stores shapes and amounts that a model computes from the shapes of its values as constants.

Exporters compute them for any extents, although only the batch is open. As constants they no longer depend on the float
values whose shapes they use, so that these need not be computed.
"""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute, drop_attributes
from arrayloom.compiler.frontend.kinds import MOVEMENTS
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor

_SIZES = 3  # index of the input with a Resize's sizes
_MOVING = (*MOVEMENTS, "Split")


def settle_shapes(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model in which shapes and amounts of movements are constants, except for the batch."""
    derived = _shape_derived(model)
    if not derived:
        return model
    editor = Editor(model)
    for node in editor.nodes:
        if node.op_type not in _MOVING or model.is_constant(node.input[0]):
            continue
        for place, name in enumerate(node.input):
            if name in derived and place > 0:
                _settle(editor, node, place)
    return editor.finish()


def _shape_derived(model: Model) -> set[str]:
    """Returns the constants that follow from the shape of a value that is not constant."""
    found: set[str] = set()
    for node in model.nodes:
        takes_shape = node.op_type in ("Shape", "Size") and not model.is_constant(node.input[0])
        if takes_shape or (found.intersection(node.input) and all(model.is_constant(name) for name in node.output if name)):
            found.update(name for name in node.output if name)
    return found


def _settle(editor: Editor, node: onnx.NodeProto, place: int) -> None:
    """Stores one operand of a movement as a constant."""
    model, name = editor.model, node.input[place]
    value = model.constants[name]
    extents = list(model.shapes[node.output[0]])
    if node.op_type == "Reshape":
        drop_attributes(node, "allowzero")
        node.input[place] = editor.constant(f"{node.output[0]}_shape", np.array([0, *extents[1:]], np.int64))
    elif node.op_type == "Expand":
        target = [1, *value[1:]] if value.size == len(extents) else value
        node.input[place] = editor.constant(f"{node.output[0]}_shape", np.array(target, np.int64))
    elif node.op_type == "Resize" and place == _SIZES and attribute(node, "axes") is None:
        rest = editor.constant(f"{node.output[0]}_sizes", np.array(value[1:], np.int64))
        node.input[place] = _with_batch(editor, node, rest)
    elif node.op_type == "Slice" and _slices_batch(model, node):
        return
    else:
        node.input[place] = editor.constant(f"{node.output[0]}_operand", value)
    editor.touch()


def _with_batch(editor: Editor, node: onnx.NodeProto, rest: str) -> str:
    """Emits the batch at run time, taken from the shape of an input of the model, followed by `rest`."""
    stem = node.output[0]
    shape = editor.add("Shape", [editor.model.inputs[0].name], editor.fresh(f"{stem}_input_shape"), node)
    first = editor.constant(f"{stem}_first", np.array([0], np.int64))
    batch = editor.add("Gather", [shape, first], editor.fresh(f"{stem}_batch"), node, axis=0)
    return editor.add("Concat", [batch, rest], editor.fresh(f"{stem}_open_sizes"), node, axis=0)


def _slices_batch(model: Model, node: onnx.NodeProto) -> bool:
    axes = model.constant(node, 3)
    return axes is None or bool(np.any(axes % len(model.shapes[node.input[0]]) == 0))
