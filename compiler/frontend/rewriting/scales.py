"""Scales of float16, which integer operators may have, as the float32 numbers that they are."""

import numpy as np

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor

SCALED = ("QLinearMatMul", "QLinearConv")


def widen_scales(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """The model whose integer products have float32 scales."""
    editor = Editor(model)
    for node in editor.nodes:
        if node.op_type not in SCALED:
            continue
        for place, name in enumerate(node.input):
            if model.is_constant(name) and model.dtypes[name] == np.float16:
                node.input[place] = editor.constant(f"{name}_float32", model.constants[name], np.float32)
                editor.touch()
    return editor.finish()
