"""Integers all the way: what is left of float between two integers, and names that tell a value's origin."""

import onnx

from compiler.frontend.kinds import RESHAPES
from host.quantize.emit import INTEGER_SUFFIX

#: Movements that ONNX Runtime has for bytes, and whose operands besides the first are no elements.
BYTE_MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Gather", "Identity")


def finish(model: onnx.ModelProto) -> onnx.ModelProto:
    """The integer model without DequantizeLinear, movement, QuantizeLinear of one scale, and with its values renamed.

    The integer of a float value X is called X_quantized.
    """
    _Shortcuts(model).apply()
    _prune(model)
    _rename(model)
    return model


class _Shortcuts:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._producers = {name: node for node in model.graph.node for name in node.output}

    def apply(self) -> None:
        nodes: list[onnx.NodeProto] = []
        aliases: dict[str, str] = {}
        for node in self._graph.node:
            chain = self._chain(node) if node.op_type == "QuantizeLinear" else None
            if chain is None:
                nodes.append(node)
                continue
            value = chain[0].input[0]
            for move in chain[1:]:
                value = self._move(nodes, move, value, node.output[0] if move is chain[-1] else "")
            if len(chain) == 1:
                aliases[node.output[0]] = aliases.get(value, value)
        for node in nodes:
            node.input[:] = [aliases.get(name, name) for name in node.input]
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _chain(self, quantizer: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """The DequantizeLinear of the same parameters behind the node, and the movements between, in order."""
        moves: list[onnx.NodeProto] = []
        node = self._producers.get(quantizer.input[0])
        while node is not None and node.op_type in BYTE_MOVEMENTS and node.input[0] not in self._constants:
            moves.append(node)
            node = self._producers.get(node.input[0])
        if node is None or node.op_type != "DequantizeLinear" or self._parameters(node) != self._parameters(quantizer):
            return None
        return [node, *moves[::-1]]

    def _parameters(self, node: onnx.NodeProto) -> list[bytes]:
        tensors = [self._constants[name] for name in node.input[1:]]
        return [onnx.numpy_helper.to_array(tensor).tobytes() + bytes([tensor.data_type]) for tensor in tensors]

    def _move(self, nodes: list[onnx.NodeProto], move: onnx.NodeProto, value: str, result: str) -> str:
        copy = onnx.NodeProto()
        copy.CopyFrom(move)
        copy.input[0] = value
        copy.output[0] = result or f"{move.output[0]}_moved"
        copy.name = f"{move.name}_quant"
        nodes.append(copy)
        return str(copy.output[0])


def _prune(model: onnx.ModelProto) -> None:
    """Drop nodes that no output depends on, and initializers that no node reads."""
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


def _rename(model: onnx.ModelProto) -> None:
    suffix = "_QuantizeLinear_Output"
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names = {name: f"{name.removesuffix(suffix)}{INTEGER_SUFFIX}" for name in taken if name.endswith(suffix)}
    names = {old: new for old, new in names.items() if new not in taken}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
