"""Operands of functions of several values are moved as integers, so that the function reads elements at equal positions.

A function of one value commutes with movement. A function of two activations, or with a constant that differs between
channels, does not: its operands must be moved before. DequantizeLinear and movement therefore become the same movement of
integers and then DequantizeLinear.
"""

import onnx

from arrayloom.compiler.frontend.kinds import BY_HOST, FUNCTIONS, moves
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, quant_name
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import of_quantizer
from arrayloom.compiler.frontend.report import RefusalError


def settle_operands(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Moves the dequantized operands of a function of several operands as integers."""
    model = rewrite.model
    if node.op_type not in FUNCTIONS:
        return
    operands = {name for name in node.input if name and not model.is_constant(name)}
    constants = [model.constants[name] for name in node.input if name and model.is_constant(name)]
    if len(operands) < 2 and all(constant.size <= 1 for constant in constants):
        return
    for name in sorted(operands):
        producer = model.producers.get(name)
        if producer is not None and moves(producer):
            _settle(rewrite, name)


def settle_outputs(rewrite: Rewrite) -> None:
    """Moves outputs of the model as integers if the host would otherwise have to do more than reshape and transpose them."""
    for name in rewrite.model.outputs:
        producer = rewrite.model.producers.get(name)
        if producer is not None and moves(producer) and producer.op_type not in BY_HOST:
            rewrite.current = producer
            _settle(rewrite, name)


def quantize_first(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Rewrites (function of several activations, movement, QuantizeLinear) to (function, QuantizeLinear, movement)."""
    model, value = rewrite.model, node.input[0]
    chain: list[onnx.NodeProto] = []
    while (producer := model.producers.get(value)) is not None and moves(producer):
        chain.insert(0, producer)
        value = producer.input[0]
    functions = producer is not None and producer.op_type in FUNCTIONS
    if not chain or not functions or rewrite.is_made(node.output[0]) or len(_sources(model, value)) < 2:
        return
    made, quantization = rewrite.fresh(f"{value}_quantized"), of_quantizer(model, node)
    rewrite.emit("QuantizeLinear", quant_name(node), [value, *node.input[1:]], made)
    for link in chain:
        output = node.output[0] if link is chain[-1] else rewrite.fresh(f"{link.output[0]}_quantized")
        made = rewrite.repeat(link, made, rewrite.pad_constant(link, quantization, exact=False), output)


def _sources(model: Model, value: str) -> set[str]:
    """Returns the integers from which movement and functions compute a float value; empty if it depends on anything else."""
    sources, front, seen = set[str](), [value], {value, ""}
    while front:
        node = model.producers.get(front.pop())
        if node is None or (node.op_type not in (*FUNCTIONS, "DequantizeLinear") and not moves(node)):
            return set()
        if node.op_type == "DequantizeLinear":
            sources.add(node.input[0])
            continue
        operands = {name for name in node.input if not model.is_constant(name)} - seen
        seen.update(operands)
        front.extend(operands)
    return sources


def _settle(rewrite: Rewrite, value: str) -> None:
    try:
        rewrite.settle(value)
    except RefusalError:
        return  # computed in float, so it stays; the rule of the reading node reports it if necessary
