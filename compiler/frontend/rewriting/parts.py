"""Replaces Split, DepthToSpace and SpaceToDepth, in float and on integers, by movements that every later pass knows."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import SLICE_OPSET, is_onnx
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor


def open_parts(model: Model, report: Report, options: ImportOptions) -> Model:  # noqa: ARG001
    """Replaces every Split by one Slice for each output, and every shuffle of pixels by Reshape, Transpose, Reshape."""
    return with_plain_movements(model)


def with_plain_movements(model: Model) -> Model:
    """Returns the model with these nodes replaced, or the model itself if it has none."""
    editor = Editor(model)
    for node in model.nodes:
        if not is_onnx(node) or model.is_constant(node.output[0]):
            continue
        if node.op_type == "Split":
            _open_split(editor, node)
        elif node.op_type in ("DepthToSpace", "SpaceToDepth"):
            _open_shuffle(editor, node)
    return editor.finish()


def _open_split(editor: Editor, node: onnx.NodeProto) -> None:
    model = editor.model
    axis = int(attribute(node, "axis", 0)) % len(model.shapes[node.input[0]])
    if axis == 0 or any(name and not model.is_constant(name) for name in node.input[1:]):
        return
    editor.remove([node])
    start = 0
    for name, extent in zip(node.output, _extents(model, node, axis), strict=True):
        _slice(editor, node, name, axis, (start, start + extent))
        start += extent


def _extents(model: Model, node: onnx.NodeProto, axis: int) -> list[int]:
    """Returns the extent of each output: given as attribute (before operator set 13) or input, otherwise equal parts."""
    given = model.constant(node, 1)
    listed = attribute(node, "split", []) if given is None else given.tolist()
    if listed:
        return [int(extent) for extent in listed]
    total, count = model.shapes[node.input[0]][axis], len(node.output)
    each = -(-total // count)
    return [min(each, total - index * each) for index in range(count)]


def _slice(editor: Editor, node: onnx.NodeProto, output: str, axis: int, bounds: tuple[int, int]) -> None:
    start, end = bounds
    if editor.model.opset < SLICE_OPSET:
        editor.add("Slice", [node.input[0]], output, node, axes=[axis], starts=[start], ends=[end])
        return
    operands = [editor.constant(f"{output}_{what}", np.array([value], np.int64))
                for what, value in (("start", start), ("end", end), ("axis", axis))]
    editor.add("Slice", [node.input[0], *operands], output, node)


def _open_shuffle(editor: Editor, node: onnx.NodeProto) -> None:
    """Emits the movement as the ONNX specification defines it."""
    block = int(attribute(node, "blocksize"))
    _, channels, height, width = editor.model.shapes[node.input[0]]
    if node.op_type == "SpaceToDepth":
        apart = [0, channels, height // block, block, width // block, block]
        order = [0, 3, 5, 1, 2, 4]
    elif attribute(node, "mode", "DCR") == "DCR":
        apart = [0, block, block, channels // block**2, height, width]
        order = [0, 3, 4, 1, 5, 2]
    else:
        apart = [0, channels // block**2, block, block, height, width]
        order = [0, 1, 4, 2, 5, 3]
    output = node.output[0]
    shapes = [editor.constant(f"{output}_shape", np.array(shape, np.int64))
              for shape in (apart, [0, *editor.model.shapes[output][1:]])]
    editor.remove([node])
    opened = editor.add("Reshape", [node.input[0], shapes[0]], editor.fresh(f"{output}_apart"), node)
    moved = editor.add("Transpose", [opened], editor.fresh(f"{output}_moved"), node, perm=order)
    editor.add("Reshape", [moved, shapes[1]], output, node)
