"""Converts float16 scales of integer operators to float32, which does not change their values."""

import numpy as np

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor

SCALED = ("QLinearMatMul", "QLinearConv")


def widen_scales(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model with float32 scales in its integer products."""
    editor = Editor(model)
    for node in editor.nodes:
        if node.op_type not in SCALED:
            continue
        for place, name in enumerate(node.input):
            if model.is_constant(name) and model.dtypes[name] == np.float16:
                node.input[place] = editor.constant(f"{name}_float32", model.constants[name], np.float32)
                editor.touch()
    return editor.finish()
