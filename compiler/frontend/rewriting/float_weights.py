"""Quantizes float weights of layers between quantized tensors, if the user permits it.

For example, ONNX Runtime's quantizer leaves ConvTranspose float in QOperator models: DequantizeLinear, ConvTranspose with
float weights, QuantizeLinear.
"""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import WEIGHTED, moves
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import DEQUANTIZER_OPSET
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.isa.host_parts import InsertedRounding

LARGEST = 127  # the largest symmetric int8 weight


def quantize_float_weights(model: Model, report: Report, options: ImportOptions) -> Model:
    """Returns the model with int8 weights for its layers of quantized tensors; the report gets roundings and one notice."""
    editor = Editor(model)
    if not options.insert_rounding:
        return model
    rounded = {}
    for node in editor.nodes:
        if _has_float_weights(model, node):
            rounded[node.input[1]] = node
            _quantize(editor, node, report)
    if rounded:
        names = ", ".join(f"'{name}'" for name in rounded)
        report.notices.append(f"{len(rounded)} weights that the model leaves in float, with quantized activations, are "
                              "rounded "
                              f"to 8 bits here (--insert-rounding): {names}")
    return editor.finish()


def _has_float_weights(model: Model, node: onnx.NodeProto) -> bool:
    if node.op_type not in WEIGHTED or model.is_constant(node.output[0]) or not model.is_constant(node.input[1]):
        return False
    producer = model.producers.get(node.input[1])
    floats = producer is None or producer.op_type not in ("DequantizeLinear", "Transpose")
    return floats and model.constants[node.input[1]].dtype == np.float32 and _is_dequantized(model, node.input[0])


def _is_dequantized(model: Model, value: str) -> bool:
    node = model.producers.get(value)
    while node is not None and moves(node):
        node = model.producers.get(node.input[0])
    return node is not None and node.op_type == "DequantizeLinear"


def _quantize(editor: Editor, node: onnx.NodeProto, report: Report) -> None:
    model, name = editor.model, node.input[1]
    weight = model.constants[name]
    axis = _channel_axis(node, weight.ndim) if model.opset >= DEQUANTIZER_OPSET else None
    others = None if axis is None else tuple(index for index in range(weight.ndim) if index != axis)
    scale = np.abs(weight).max(axis=others) / np.float32(LARGEST)
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    aligned = scale if axis is None else scale.reshape([-1 if index == axis else 1 for index in range(weight.ndim)])
    integers = np.rint(weight / aligned).astype(np.int8)
    operands = [editor.constant(f"{name}_rounded", integers), editor.constant(f"{name}_scale", scale)]
    output = editor.fresh(f"{name}_dequantized")
    if axis is None:
        node.input[1] = editor.add("DequantizeLinear", operands, output, node)
    else:
        node.input[1] = editor.add("DequantizeLinear", operands, output, node, axis=axis)
    report.inserted_roundings.append(InsertedRounding(name, origin_name(node), float(scale.max()), 0, "int8"))


def _channel_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """Returns the axis of the output channels, or None if all channels must share one scale."""
    if node.op_type == "ConvTranspose":
        return 1 if int(attribute(node, "group", 1)) == 1 else None
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return rank - 1 if rank == 2 else None
