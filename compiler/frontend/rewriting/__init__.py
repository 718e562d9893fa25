"""Rewrites a quantized model, ONNX to ONNX, into forms that the lowering accepts.

Each pass takes a model with facts and returns the rewritten one, or the same if there is nothing to do. A rewritten model
computes the same integers, byte for byte, unless the pass records a difference in the report.
"""

from collections.abc import Callable

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.byte_concats import name_concats
from arrayloom.compiler.frontend.rewriting.dtypes import unify_dtypes
from arrayloom.compiler.frontend.rewriting.float_weights import quantize_float_weights
from arrayloom.compiler.frontend.rewriting.layout import arrange_dimensions
from arrayloom.compiler.frontend.rewriting.norms import open_norms
from arrayloom.compiler.frontend.rewriting.parts import open_parts
from arrayloom.compiler.frontend.rewriting.per_channel import fold_activation_scales
from arrayloom.compiler.frontend.rewriting.products import spread_products
from arrayloom.compiler.frontend.rewriting.resize import resize_integers
from arrayloom.compiler.frontend.rewriting.roundings import quantize_float_values
from arrayloom.compiler.frontend.rewriting.scales import widen_scales
from arrayloom.compiler.frontend.rewriting.shapes import settle_shapes

Pass = Callable[[Model, Report, ImportOptions], Model]

PASSES: tuple[Pass, ...] = (
    settle_shapes,
    widen_scales,
    open_parts,
    resize_integers,
    open_norms,
    spread_products,
    arrange_dimensions,
    name_concats,
    fold_activation_scales,
    unify_dtypes,
    quantize_float_values,
    quantize_float_weights,
)


def rewrite(model: Model, report: Report, options: ImportOptions, arranged: bool = True) -> Model:
    """Returns the model after all passes; unless `arranged`, the pass that rearranges its dimensions is left out."""
    for run in PASSES:
        if arranged or run is not arrange_dimensions:
            model = run(model, report, options)
    return model
