"""QLinearMatMul of rank 3 and 4 by a constant matrix: Transpose, QLinearConv, Transpose."""

import onnx

from arrayloom.compiler.frontend.lowering.pointwise import channels_first, channels_last, pointwise_kernel
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.quantization import weight
from arrayloom.compiler.frontend.report import RefusalError, Report
from arrayloom.compiler.frontend.rewriting.editor import Editor


def spread_products(model: Model, report: Report, options: ImportOptions) -> Model:
    """The model with products over the last axis as convolutions: ONNX Runtime sums and rounds both alike."""
    editor = Editor(model)
    for node in editor.nodes:
        if node.op_type != "QLinearMatMul" or len(model.shapes[node.input[0]]) < 3 or not model.is_constant(node.input[3]):
            continue
        try:
            _spread(editor, node)
        except RefusalError as refusal:
            report.refuse(node, refusal)
    return editor.finish()


def _spread(editor: Editor, node: onnx.NodeProto) -> None:
    rank = len(editor.model.shapes[node.input[0]])
    kernel = pointwise_kernel(weight(editor.model, (node.input[3], node.input[4], node.input[5])), rank, node.input[0])
    name = node.name or node.output[0]
    constants = [
        editor.constant(f"{name}_kernel", kernel.values),
        editor.constant(f"{name}_kernel_scale", kernel.scale),
        editor.constant(f"{name}_kernel_zero_point", kernel.zero_point),
    ]
    editor.remove([node])
    moved = editor.fresh(f"{node.output[0]}_operand")
    editor.add("Transpose", [node.input[0]], moved, node, perm=channels_first(rank))
    result = editor.fresh(f"{node.output[0]}_channels_first")
    editor.add("QLinearConv", [moved, *node.input[1:3], *constants, *node.input[6:8]], result, node)
    editor.add("Transpose", [result], node.output[0], node, perm=channels_last(rank))
