"""Converts Concat of integers, which tf2onnx emits between layers, to QLinearConcat."""

import numpy as np

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor

MICROSOFT = "com.microsoft"


def name_concats(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model with every Concat of bytes as a QLinearConcat with all scales 1, which does not change bytes."""
    editor = Editor(model)
    for node in model.nodes:
        output = node.output[0]
        if node.op_type != "Concat" or node.domain not in ("", "ai.onnx") or model.dtypes[output] not in BYTES:
            continue
        if model.is_constant(output):
            continue
        editor.remove([node])
        scale = editor.constant(f"{output}_scale", 1, np.float32)
        zero = editor.constant(f"{output}_zero_point", 0, model.dtypes[output])
        operands = [name for value in node.input for name in (value, scale, zero)]
        editor.add("QLinearConcat", [scale, zero, *operands], output, node, domain=MICROSOFT, axis=attribute(node, "axis"))
    return editor.finish()
