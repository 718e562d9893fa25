"""The batch: the only dimension of a model's inputs that may be open, over which the host loops."""

import onnx

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.opening import BATCH, open_batch
from arrayloom.compiler.frontend.runtime import model_inputs

__all__ = ["BATCH", "free_batch", "open_batch"]


def free_batch(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Returns the model with a fixed batch above 1 made symbolic, and notes about it.

    Every input must have a known rank of 1 to 4 and fixed extents after the batch. A model whose batch is open or 1 is
    returned unchanged. Whether the network really treats the images of a batch separately is checked later, with the shapes.

    Raises
    ------
    ModelError
        A dimension other than the batch is open, or the inputs disagree on the batch.
    """
    batches = {value.name: _batch(value) for value in model_inputs(model.graph)}
    fixed = sorted({batch for batch in batches.values() if batch is not None})
    if len(fixed) > 1 or (fixed and None in batches.values()):
        listed = ", ".join(f"'{name}': {batch or 'open'}" for name, batch in batches.items())
        raise ModelError(f"the inputs disagree on the batch, their first dimension ({listed}); "
                         "export them with the same batch")
    if not fixed or fixed[0] == 1:
        return model, []
    note = f"the batch, fixed at {fixed[0]} in the model, is compiled as a loop over images"
    return open_batch(model, fixed[0]), [note]


def _batch(value: onnx.ValueInfoProto) -> int | None:
    """Returns the first dimension, or None if it is open."""
    tensor = value.type.tensor_type
    dims = list(tensor.shape.dim)
    if not tensor.HasField("shape") or not 1 <= len(dims) <= 4:
        rank = len(dims) if tensor.HasField("shape") else "unknown"
        raise ModelError(
            f"input '{value.name}' has rank {rank}; use [N, C, H, W], [N, C, L], [N, F] or [N], where N is the batch"
        )
    for axis, dim in enumerate(dims[1:], start=1):
        if dim.dim_value < 1:
            label = f"'{dim.dim_param}'" if dim.dim_param else str(dim.dim_value)
            raise ModelError(
                f"dimension {axis} of input '{value.name}' is {label}: only the batch may be open; "
                "fix it when exporting, or with onnxruntime.tools.make_dynamic_shape_fixed"
            )
    return dims[0].dim_value if dims[0].dim_value > 0 else None
