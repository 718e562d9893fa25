"""Average pooling whose last window extends beyond the padding: ONNX Runtime's quantized kernel then divides by a larger
count than the float kernel, unless the padding is not counted."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute, drop_attributes
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.rewriting.editor import Editor


def with_counted_padding(model: Model) -> Model:
    """The model in which such poolings count only the elements of their windows, and an explicit Pad does the padding."""
    editor = Editor(model)
    for node in editor.nodes:
        if node.op_type == "AveragePool" and attribute(node, "ceil_mode", 0) and attribute(node, "count_include_pad", 0):
            _mend(editor, node)
    return editor.finish()


def _mend(editor: Editor, node: onnx.NodeProto) -> None:
    extents, results = (editor.model.shapes[name][2:] for name in (node.input[0], node.output[0]))
    count = len(extents)
    kernel, strides = attribute(node, "kernel_shape"), attribute(node, "strides", [1] * count)
    dilations = attribute(node, "dilations", [1] * count)
    automatic = attribute(node, "auto_pad", "NOTSET")
    given = attribute(node, "pads", [0] * 2 * count) if automatic == "NOTSET" else [0] * 2 * count
    before, after, beyond = given[:count], given[count:], False
    for axis in range(count):
        end = (results[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        reached = max(end - extents[axis] - before[axis], 0)
        beyond |= reached > after[axis]
        after[axis] = min(after[axis], reached)  # a larger Pad could make room for another window that begins in it
    if not beyond or automatic.startswith("SAME"):
        return
    if any(before) or any(after):
        amounts = editor.constant(f"{node.output[0]}_pads", np.array([0, 0, *before, 0, 0, *after]))
        node.input[0] = editor.add("Pad", [node.input[0], amounts], editor.fresh(f"{node.output[0]}_padded"), node)
    drop_attributes(node, "count_include_pad", "pads")
    editor.touch()
