"""Imports the outputs of the model, with the steps that the host computes after the last integer operation."""

from contextlib import suppress

import onnx

from arrayloom.compiler.frontend.attention import SCORES, is_marked
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.inputs import host_movement
from arrayloom.compiler.frontend.kinds import BY_HOST
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import SOFTMAX_OPSET
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import BYTES, of_quantizer, per_tensor
from arrayloom.compiler.frontend.report import ConsequenceError, RefusalError, Report, operator_name
from arrayloom.compiler.graph import GraphOutput
from arrayloom.isa.host_steps import (
    SMALLEST_SOFTMAX_SCALE,
    Dequantize,
    HostStep,
    QuantizedSoftmax,
    Softmax,
)


def import_output(builder: Builder, name: str) -> GraphOutput | None:
    """Returns an output of the model with the host's steps; None, and a refusal, if the host cannot compute it."""
    model = builder.model
    steps: list[HostStep] = []
    value = name
    while not _is_made(builder, value):
        node = model.producers[value]
        try:
            steps = [*_steps(model, builder.report, node), *steps]
        except RefusalError as refusal:
            builder.report.refuse(node, refusal)
            return None
        builder.claimed.update(node.output)
        value = node.input[0]
    if value not in builder.tensors:
        return None
    return GraphOutput(name, value, tuple(steps))


def _is_made(builder: Builder, value: str) -> bool:
    """Whether the device computes a value; movements that the device cannot do at the output are left to the host."""
    if builder.model.dtypes[value] not in BYTES:
        return False
    if is_host_softmax(builder.model.producers.get(value)):
        return False
    if value in builder.pending and builder.pending[value].node.op_type in BY_HOST and not builder.can_make(value):
        return False
    with suppress(ConsequenceError):
        builder.tensor(value)
    return True


def _steps(model: Model, report: Report, node: onnx.NodeProto) -> list[HostStep]:
    if report.refused(node):
        raise ConsequenceError
    if node.op_type == "DequantizeLinear":
        quantization = of_quantizer(model, node)
        return [Dequantize(float(quantization.scale), quantization.zero_point)]
    if is_host_softmax(node):
        return [_quantized_softmax(model, node)]
    if node.op_type == "Softmax":
        return [Softmax(_softmax_axis(model, node))]
    if node.op_type in BY_HOST:
        return host_movement(model, node)
    raise RefusalError(
        "it is computed in float after the last quantized operator, for the output of the model",
        "quantize its result; only DequantizeLinear, Softmax, Transpose and reshapes are left to the host",
    )


def is_host_softmax(node: onnx.NodeProto | None) -> bool:
    """Whether the node is a softmax of bytes that is not part of attention, which only the host computes."""
    return node is not None and operator_name(node) == "com.microsoft.QLinearSoftmax" and not is_marked(node, SCORES)


def check_host_softmax(model: Model, node: onnx.NodeProto) -> None:
    """Refuses a softmax of bytes whose result the accelerator would have to read."""
    readers = model.consumers.get(node.output[0], [])
    while len(readers) == 1 and readers[0].op_type in ("DequantizeLinear", *BY_HOST):
        readers = model.consumers.get(readers[0].output[0], [])
    if readers:
        raise RefusalError(
            f"its result is read by {described(readers[0])}: the host computes a softmax "
            "after the last operator only",
            "move it to the end of the network, or between the two products of attention and compile for a configuration "
            "with the ATTENTION unit, such as 16x16-vit",
        )


def _quantized_softmax(model: Model, node: onnx.NodeProto) -> QuantizedSoftmax:
    """Returns the step of a quantized softmax; its rounding is known for result scales of at least 2**-9."""
    rank = len(model.shapes[node.input[0]])
    axis = int(attribute(node, "axis", -1)) % rank
    if attribute(node, "opset", SOFTMAX_OPSET) < SOFTMAX_OPSET and axis != rank - 1:
        raise RefusalError("its operand is flattened, as before operator set 13", "give it opset = 13", f"axis = {axis}")
    dtype = model.dtypes[node.output[0]]
    x = per_tensor(model, node.input[1], node.input[2], model.dtypes[node.input[0]])
    y = per_tensor(model, node.input[3], node.input[4], dtype)
    if y.scale < SMALLEST_SOFTMAX_SCALE:
        raise RefusalError("the scale of its result is below 2**-9", "quantize it with 1/256", f"scale = {y.scale}")
    return QuantizedSoftmax(axis, float(x.scale), float(y.scale), y.zero_point)


def _softmax_axis(model: Model, node: onnx.NodeProto) -> int:
    rank = len(model.shapes[node.input[0]])
    old = model.opset < SOFTMAX_OPSET
    axis = int(attribute(node, "axis", 1 if old else -1)) % rank
    if old and axis != rank - 1:
        raise RefusalError(
            f"its operand is flattened at axis {axis}, as before operator set {SOFTMAX_OPSET}",
            f"convert the model to operator set {SOFTMAX_OPSET} or later",
            f"axis = {axis}",
        )
    return axis
