"""Layers with quantized weights, whether or not their results are quantized."""

import onnx

from arrayloom.compiler.frontend.kinds import WEIGHTED
from arrayloom.compiler.frontend.model import Model


def weight_quantizer(model: Model, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Returns the DequantizeLinear of a layer's constant weights, also before a Transpose; None if they are float."""
    if node.op_type not in WEIGHTED or not model.is_constant(node.input[1]):
        return None
    producer = model.producers.get(node.input[1])
    while producer is not None and producer.op_type == "Transpose":
        producer = model.producers.get(producer.input[0])
    return producer if producer is not None and producer.op_type == "DequantizeLinear" else None


def is_quantized_layer(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a layer of activations has quantized weights."""
    return not model.is_constant(node.output[0]) and weight_quantizer(model, node) is not None
