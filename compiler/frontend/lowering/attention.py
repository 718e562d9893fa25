"""MatMul of two activations and Softmax to QLinearMatMul and com.microsoft.QLinearSoftmax."""

from dataclasses import replace

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, quant_name
from arrayloom.compiler.frontend.lowering.target import check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import MICROSOFT, SOFTMAX_OPSET
from arrayloom.compiler.frontend.quantization import Quantization
from arrayloom.compiler.frontend.report import RefusalError

_WITHIN = 0.25  # of a whole number, far enough from both ends that no rounding of a reciprocal reaches them


def lower_product(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Two DequantizeLinear, MatMul, QuantizeLinear to QLinearMatMul."""
    given = [rewrite.source(name) for name in node.input]
    for target in find_targets(rewrite, node.output[0]):
        check_dtypes([source.quantization for source in given], target)
        inputs = [*rewrite.operand(given[0]), *rewrite.operand(given[1]),
                  *rewrite.parameters(target.name, target.quantization)]
        rewrite.emit("QLinearMatMul", quant_name(node), inputs, clamped(rewrite, target))


def lower_softmax(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """DequantizeLinear, Softmax, QuantizeLinear to QLinearSoftmax; one that no layer follows stays, for the host.

    ONNX Runtime does so too where nothing lies in between. Elsewhere it computes the softmax in float, to which the
    result with the whole number nearest to 1 / scale is closest.
    """
    model = rewrite.model
    if not any(reader.op_type == "QuantizeLinear" for reader in model.consumers.get(node.output[0], [])):
        return
    rank = len(model.shapes[node.input[0]])
    axis = int(attribute(node, "axis", -1 if model.opset >= SOFTMAX_OPSET else 1)) % rank
    if model.opset < SOFTMAX_OPSET and axis != rank - 1:
        raise RefusalError("its operand is flattened, as before operator set 13", "convert the model to operator set 13",
                           f"axis = {axis}")
    x, joined = rewrite.source(node.input[0]), _is_joined(model, node)
    for target in find_targets(rewrite, node.output[0]):
        check_dtypes([x.quantization], target)
        made = target.quantization if joined else _nearest(target.quantization)
        inputs = [*rewrite.operand(x), *rewrite.parameters(target.name, made)]
        rewrite.emit("QLinearSoftmax", quant_name(node), inputs, clamped(rewrite, target), domain=MICROSOFT, axis=axis,
                     opset=SOFTMAX_OPSET)


def _is_joined(model: Model, node: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime makes a QLinearSoftmax of DequantizeLinear, Softmax and QuantizeLinear."""
    before, after = model.producers.get(node.input[0]), model.only_reader(node.output[0])
    direct = before is not None and before.op_type == "DequantizeLinear" and after is not None
    return direct and after is not None and after.op_type == "QuantizeLinear"


def _nearest(made: Quantization) -> Quantization:
    """A quantization with which QLinearSoftmax, which takes the whole part of 1 / scale, takes what is nearest to it."""
    steps = max(1.0, float(np.rint(1 / np.float64(made.scale))))
    return replace(made, scale=np.float32(1 / (steps + _WITHIN)))
