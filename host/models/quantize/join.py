"""Joins the quantized middle of a network with its float head and tail."""

import onnx

from arrayloom.compiler.errors import ModelError, SessionError
from arrayloom.compiler.frontend.extract import host_part
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.partition import Partition
from arrayloom.compiler.frontend.sorting import sort_nodes


def join(parts: Partition, integer: onnx.ModelProto) -> onnx.ModelProto:
    """The whole network; `integer` replaces the nodes that are in neither of the host's parts.

    Its batch stays open if head and tail support several images at once, and is 1 otherwise.
    """
    if parts.is_whole:
        return integer
    halves = [part for part in (host_part(parts, parts.head), host_part(parts, parts.tail)) if part is not None]
    around = [onnx.load_model_from_string(part.model) for part in halves]
    joined = onnx.ModelProto()
    joined.CopyFrom(integer)
    graph = joined.graph
    for field in ("node", "input", "output", "initializer", "value_info"):
        graph.ClearField(field)
    models = [integer, *around]
    nodes = {tuple(node.output): node for model in models for node in model.graph.node}
    graph.node.extend(sort_nodes(nodes.values(), parts.model.outputs))
    graph.initializer.extend({tensor.name: tensor for model in models for tensor in model.graph.initializer}.values())
    graph.input.extend(parts.model.inputs)
    graph.output.extend(value for value in parts.model.proto.graph.output)
    return joined if _takes_batches(joined) else _of_one_image(joined)


def _takes_batches(model: onnx.ModelProto) -> bool:
    try:
        Model(model).require_batch()
    except (ModelError, SessionError):
        return False
    return True


def _of_one_image(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    return model
