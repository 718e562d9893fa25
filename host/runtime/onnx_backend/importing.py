"""Import of models whose first dimension may be no batch."""

from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.errors import CompileError, ModelError, SessionError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.runtime import Session, model_inputs
from arrayloom.host.runtime.onnx_backend.leading import NoBatchError, with_leading_batch

Array = NDArray[Any]
MOST_IMAGES = 32    # a first dimension beyond it is none of images where it need not be


def import_any(model: onnx.ModelProto, options: ImportOptions) -> tuple[ImportedModel, bool]:
    """The model, and whether a batch of one was put in front of its values, because it cannot be imported as it is.

    Raises:
        CompileError: it cannot be imported in either way; the message is about the model as it is.
    """
    leading = _with_batch(model)
    refused = ModelError(
        "the first dimension of its inputs is no batch: images give other values together than alone; put a batch in front of it")
    if _is_batch(model):
        try:
            return import_model(model, options), False
        except CompileError as error:
            if leading is None:
                raise
            with suppress(CompileError):
                return import_model(leading, options), True
            raise error
    if leading is None:
        raise refused
    return import_model(leading, options), True


def _is_batch(model: onnx.ModelProto) -> bool:
    """Whether the first dimension, of few images, is a batch: each image alone gives what it gives among the others."""
    rng, inputs = np.random.default_rng(0), {}
    for value in model_inputs(model.graph):
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        floats = dtype.kind == "f"
        inputs[value.name] = (rng.uniform(-1, 1, shape) if floats else rng.integers(1, 100, shape)).astype(dtype)
    extents = {value.shape[:1] for value in inputs.values()}
    if extents == {(1,)}:
        return True
    counts = [extent[0] if extent else 0 for extent in extents]
    if len(counts) > 1 or not 1 <= counts[0] <= MOST_IMAGES:
        return False
    try:
        together = Session(model, optimize=False).run(inputs)
        single = [Session(_for_one(model), optimize=False).run({name: value[i : i + 1] for name, value in inputs.items()})
                  for i in range(counts[0])]
    except SessionError:
        return True     # ONNX Runtime has no kernel, or the batch is written into the model: its import says more
    return all(_alike(whole, [one[name] for one in single]) for name, whole in together.items())


def _alike(whole: Array, single: list[Array]) -> bool:
    joined = np.concatenate(single) if whole.ndim else np.zeros(0)
    return joined.shape == whole.shape and np.allclose(joined.astype(float), whole.astype(float), 1e-3, 1e-5, equal_nan=True)


def _for_one(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for a batch of one."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in model_inputs(single.graph):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    outputs = [onnx.ValueInfoProto(name=value.name) for value in single.graph.output]
    del single.graph.output[:], single.graph.value_info[:]
    single.graph.output.extend(outputs)
    return single


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
