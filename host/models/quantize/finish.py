"""Integers all the way: what is left of float between two integers, and names that tell a value's origin."""

from collections.abc import Iterable

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import RESHAPES
from arrayloom.host.models.quantize.emit import INTEGER_SUFFIX
from arrayloom.host.models.quantize.prune import prune
from arrayloom.host.runtime.boundary import quantize

#: Movements that ONNX Runtime has for bytes, and whose operands besides the first are no elements.
BYTE_MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Gather", "Identity", "Pad")


def finish(model: onnx.ModelProto, metadata: Iterable[onnx.StringStringEntryProto]) -> onnx.ModelProto:
    """The integer model without DequantizeLinear, movement, QuantizeLinear of one scale, and with its values renamed.

    The integer of a float value X is called X_quantized. What the float network tells of itself is told of this one.
    """
    del model.metadata_props[:]
    model.metadata_props.extend(metadata)
    _Shortcuts(model).apply()
    prune(model)
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
                value = self._move(nodes, move, value, node)
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
            if node.op_type == "Pad" and not self._is_constant_padding(node):
                return None
            moves.append(node)
            node = self._producers.get(node.input[0])
        if node is None or node.op_type != "DequantizeLinear" or self._parameters(node) != self._parameters(quantizer):
            return None
        return [node, *moves[::-1]]

    def _padding(self, pad: onnx.NodeProto, quantizer: onnx.NodeProto) -> str:
        """The integer that a Pad's value becomes."""
        scale, zero_point = (onnx.numpy_helper.to_array(self._constants[name]) for name in quantizer.input[1:3])
        given = pad.input[2] if len(pad.input) > 2 else ""
        value = onnx.numpy_helper.to_array(self._constants[given]).reshape(()) if given else np.float32(0)
        name = f"{quantizer.output[0]}_{pad.output[0]}_padding"
        integer = quantize(np.asarray(value), float(scale), int(zero_point), zero_point.dtype).reshape(())
        self._graph.initializer.append(onnx.numpy_helper.from_array(integer, name))
        return name

    def _is_constant_padding(self, pad: onnx.NodeProto) -> bool:
        given = pad.input[2] if len(pad.input) > 2 else ""
        return attribute(pad, "mode", "constant") == "constant" and (not given or given in self._constants)

    def _parameters(self, node: onnx.NodeProto) -> list[bytes]:
        tensors = [self._constants[name] for name in node.input[1:]]
        return [onnx.numpy_helper.to_array(tensor).tobytes() + bytes([tensor.data_type]) for tensor in tensors]

    def _move(self, nodes: list[onnx.NodeProto], move: onnx.NodeProto, value: str, quantizer: onnx.NodeProto) -> str:
        """Repeat a movement on integers; the last one before the QuantizeLinear takes that one's place."""
        copy = onnx.NodeProto()
        copy.CopyFrom(move)
        copy.input[0] = value
        last = move.output[0] == quantizer.input[0]
        copy.output[0] = quantizer.output[0] if last else f"{quantizer.output[0]}_{move.output[0]}"
        if move.op_type == "Pad":
            copy.input[:] = [*copy.input[:2], self._padding(move, quantizer), *copy.input[3:]]
        copy.name = f"{move.name}_quant_{copy.output[0]}"
        nodes.append(copy)
        return str(copy.output[0])


def _rename(model: onnx.ModelProto) -> None:
    suffix = "_QuantizeLinear_Output"
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names = {name: f"{name.removesuffix(suffix)}{INTEGER_SUFFIX}" for name in taken if name.endswith(suffix)}
    names = {old: new for old, new in names.items() if new not in taken}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
