"""Old models: initializers among the inputs, old operator sets, a fixed batch."""

import onnx
from onnx import version_converter

from arrayloom.compiler.frontend.batch import free_batch, open_batch
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.prune import prune

OPSET = 13  # the first with scales for each channel
IR_VERSION = 8  # initializers need not be inputs, and every ONNX Runtime that has the quantized operators reads it


def modernize(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with `OPSET` at least, an open batch, no initializer among its inputs, and nothing that no output needs.

    Raises:
        QuantizeError: the model cannot be converted to `OPSET`.
        ModelError: an open dimension behind the batch, or inputs that disagree on the batch.
    """
    inputs = model_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    prune(model)
    model.ir_version = max(model.ir_version, IR_VERSION)
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if version < OPSET:
        metadata = list(model.metadata_props)
        try:
            model = version_converter.convert_version(model, OPSET)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise QuantizeError(f"the model's operator set {version} cannot be converted to {OPSET} ({reason}); "
                                f"export the network with operator set {OPSET} or later") from error
        model.metadata_props.extend(entry for entry in metadata if entry not in model.metadata_props)
    model, _ = free_batch(model)
    if any(value.type.tensor_type.shape.dim[0].dim_value == 1 for value in model.graph.input):
        model = open_batch(model, 1)
    return model
