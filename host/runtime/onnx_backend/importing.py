"""Import of models whose first dimension may not be a batch."""

from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.errors import CompileError, SessionError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.runtime import Session, model_inputs
from arrayloom.host.runtime.onnx_backend.leading import NoBatchError, with_leading_batch

Array = NDArray[Any]
_NO_BATCH = "the first dimension of its inputs is not a batch: images give other values together than alone; add a batch"
MOST_IMAGES = 32    # a larger first dimension is not assumed to be a batch
REACHES = ((-1.0, 1.0), (0.0, 8.0), (-100.0, 100.0))    # random floats that distinguish a batch from another dimension


def import_any(model: onnx.ModelProto, options: ImportOptions) -> tuple[ImportedModel, bool]:
    """The imported model, and whether its values got a leading batch of one because it cannot be imported unchanged.

    Raises
    ------
    CompileError
        It cannot be imported in either way; the message is about the model as it is.
    """
    leading, refused = _with_batch(model), CompileError(_NO_BATCH)
    if _is_batch(model):
        try:
            return import_model(model, options), False
        except CompileError as error:
            refused = error
    elif leading is not None:
        return import_model(leading, options), True
    if leading is not None:
        with suppress(CompileError):
            return import_model(leading, options), True
    raise refused


def _is_batch(model: onnx.ModelProto) -> bool:
    """Whether the first dimension, of few images, is a batch: each image alone has the same result as among the others."""
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model_inputs(model.graph)]
    if any(0 in shape for shape in shapes):
        return True     # an open dimension is always a batch
    counts = {shape[0] if shape else None for shape in shapes}
    if counts == {1}:
        return True
    count = counts.pop()
    if counts or count is None or count > MOST_IMAGES:
        return False
    try:
        together, alone = Session(model, optimize=False), Session(_for_one(model), optimize=False)
        return all(_is_separable(together, alone, _drawn(model, seed, reach)) for seed, reach in enumerate(REACHES))
    except SessionError:
        return True     # ONNX Runtime has no kernel, or the batch is fixed in the model: the import reports more


def _drawn(model: onnx.ModelProto, seed: int, reach: tuple[float, float]) -> dict[str, Array]:
    """Random inputs; floats within `reach`."""
    rng, inputs = np.random.default_rng(seed), {}
    for value in model_inputs(model.graph):
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        inputs[value.name] = (rng.uniform(*reach, shape) if dtype.kind == "f" else rng.integers(1, 100, shape)).astype(dtype)
    return inputs


def _is_separable(together: Session, alone: Session, inputs: dict[str, Array]) -> bool:
    count = len(next(iter(inputs.values())))
    single = [alone.run({name: value[i : i + 1] for name, value in inputs.items()}) for i in range(count)]
    return all(_alike(whole, [one[name] for one in single]) for name, whole in together.run(inputs).items())


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
    """The model with a leading batch of one; None if a dimension is open, or an operator does not allow it."""
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    shapes = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in inputs}
    if not shapes or any(0 in shape for shape in shapes.values()):
        return None
    try:
        return with_leading_batch(model, shapes)
    except NoBatchError:
        return None
