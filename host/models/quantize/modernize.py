"""Normalizes old and unusual forms of a model: initializers among the inputs, old operator sets, a fixed batch, Sum.

Also removes nodes that no output depends on.
"""

import onnx
from onnx import version_converter

from arrayloom.compiler.errors import SessionError
from arrayloom.compiler.frontend.batch import free_batch, open_batch
from arrayloom.compiler.frontend.lost_batch import regain_batch
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import ONNX_DOMAINS
from arrayloom.compiler.frontend.origin import set_origin
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.host.models.errors import QuantizeError

OPSET = 13  # the first with scales for each channel
IR_VERSION = 8  # initializers need not be inputs, and every ONNX Runtime that has the quantized operators reads it


def modernize(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with at least `OPSET`, an open batch, no initializers among its inputs, and no unused nodes.

    Raises
    ------
    QuantizeError
        The model cannot be converted to `OPSET`.
    ModelError
        A dimension other than the batch is open, or inputs have different batches.
    """
    inputs = model_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    prune(model)
    model.ir_version = max(model.ir_version, IR_VERSION)
    version = max((entry.version for entry in model.opset_import if entry.domain in ONNX_DOMAINS), default=1)
    if version < OPSET:
        metadata = list(model.metadata_props)
        try:
            model = version_converter.convert_version(model, OPSET)
        except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as error:
            reason = str(error).strip().splitlines()[0]
            raise QuantizeError(f"the model's operator set {version} cannot be converted to {OPSET} ({reason}); "
                                f"export the network with operator set {OPSET} or later") from error
        model.metadata_props.extend(entry for entry in metadata if entry not in model.metadata_props)
    model, _ = free_batch(model)
    if any(value.type.tensor_type.shape.dim[0].dim_value == 1 for value in model.graph.input):
        model = open_batch(_with_batch(model), 1)
    return model


def _with_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in which data movement keeps the batch; a model that does not run is returned unchanged."""
    try:
        return regain_batch(Model(model)).proto
    except SessionError:
        return model  # the simplification refuses it later, with the reason


def split_sums(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every Sum, which has no quantized form, replaced by Adds of two."""
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.extend(_adds(node) if node.op_type == "Sum" else [node])
    kept = onnx.ModelProto()
    kept.CopyFrom(model)
    del kept.graph.node[:]
    kept.graph.node.extend(nodes)
    return kept


def _adds(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    if len(node.input) == 1:
        same = onnx.helper.make_node("Identity", list(node.input), list(node.output), name=node.name)
        set_origin(same, node)
        return [same]
    adds = []
    total = node.input[0]
    for index, term in enumerate(node.input[1:], start=1):
        last = index == len(node.input) - 1
        result = node.output[0] if last else f"{node.output[0]}_partial_{index}"
        name = node.name if last or not node.name else f"{node.name}_{index}"
        adds.append(onnx.helper.make_node("Add", [total, term], [result], name=name))
        set_origin(adds[-1], node)
        total = result
    return adds


def prune(model: onnx.ModelProto) -> None:
    """Drop nodes that no output depends on, unused initializers, and recorded shapes."""
    wanted = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del model.graph.node[:]
    model.graph.node.extend(kept[::-1])
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    del model.graph.value_info[:]
