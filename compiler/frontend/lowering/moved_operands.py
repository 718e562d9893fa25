"""Movement before functions of several operands: on integers, so that the function meets elements of one place.

A function of one value passes movement. One of two activations, or with a constant that differs between channels, has to
meet what is moved already: DequantizeLinear, movement becomes that movement of integers, DequantizeLinear.
"""

import onnx

from arrayloom.compiler.frontend.interpolation import is_interpolation
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, RESHAPES
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite
from arrayloom.compiler.frontend.report import RefusalError


def settle_operands(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Move the operands of such a function as integers, where they are dequantized ones."""
    model = rewrite.model
    if node.op_type not in FUNCTIONS:
        return
    operands = {name for name in node.input if name and not model.is_constant(name)}
    constants = [model.constants[name] for name in node.input if name and model.is_constant(name)]
    if len(operands) < 2 and all(constant.size <= 1 for constant in constants):
        return
    for name in sorted(operands):
        producer = model.producers.get(name)
        if producer is not None and producer.op_type in MOVEMENTS and not is_interpolation(producer):
            _settle(rewrite, name)


def settle_outputs(rewrite: Rewrite) -> None:
    """Move outputs of the model as integers, where the host would have to do more than reshape and transpose them."""
    for name in rewrite.model.outputs:
        producer = rewrite.model.producers.get(name)
        moved = producer is not None and producer.op_type in MOVEMENTS and not is_interpolation(producer)
        if producer is not None and moved and producer.op_type not in (*RESHAPES, "Transpose"):
            rewrite.current = producer
            _settle(rewrite, name)


def _settle(rewrite: Rewrite, value: str) -> None:
    try:
        rewrite.settle(value)
    except RefusalError:
        return  # what moves is computed in float: it stays so, and the node's own rule says more
