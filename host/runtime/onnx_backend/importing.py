"""Import of models whose first dimension may be no batch."""

from contextlib import suppress

import onnx

from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.host.runtime.onnx_backend.leading import NoBatchError, with_leading_batch


def import_any(model: onnx.ModelProto, options: ImportOptions) -> tuple[ImportedModel, bool]:
    """The model, and whether a batch of one was put in front of its values, because it cannot be imported as it is.

    Raises:
        CompileError: it cannot be imported in either way; the message is about the model as it is.
    """
    try:
        return import_model(model, options), False
    except CompileError as error:
        refused = error
    leading = _with_batch(model)
    if leading is not None:
        with suppress(CompileError):
            return import_model(leading, options), True
    raise refused


def _with_batch(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model with a batch of one in front; None where a dimension is open, or some operator forbids it."""
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    shapes = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in inputs}
    if not shapes or any(0 in shape for shape in shapes.values()):
        return None
    try:
        return with_leading_batch(model, shapes)
    except NoBatchError:
        return None
