"""The state of lowering: the integer value that represents each float value, and the nodes that were emitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import ACTIVATIONS, MAXIMA, moves
from arrayloom.compiler.frontend.lowering.bounds import exact_bounds
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import CLIP_OPSET, MICROSOFT
from arrayloom.compiler.frontend.origin import described, set_origin
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.remedies import quantize_between
from arrayloom.compiler.frontend.report import ConsequenceError, RefusalError, Report, node_name
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.frontend.sorting import sort_nodes
from arrayloom.compiler.frontend.tidy.edit import copied_node, unused


@dataclass(frozen=True)
class Source:
    """An integer value that represents a float one: float = (integer - zero point) * scale."""

    name: str
    quantization: Quantization


class Rewrite:
    """Collects the integer nodes that replace float ones."""

    def __init__(self, model: Model, report: Report) -> None:
        self.model = model
        self.report = report
        self.current: onnx.NodeProto | None = None  # the node being lowered, which is the origin of emitted nodes
        self._sources: dict[str, Source] = {}
        self._settled: set[str] = set()
        self._emitted: list[onnx.NodeProto] = []
        self._initializers: dict[str, Array] = {}
        self._node_names = {node.name for node in model.proto.graph.node}
        self._names = {*model.dtypes, *(name for node in model.proto.graph.node for name in node.output)}

    def source(self, value: str) -> Source:
        """Returns the integer value that represents a float one.

        It is found by following movement and activations back to a DequantizeLinear; these are repeated on integers.
        """
        passed: list[tuple[str, onnx.NodeProto]] = []
        while value not in self._sources and (node := self._passed_node(value)) is not None:
            passed.append((value, node))
            value = node.input[0]
        source = self._sources.get(value) or self._find_source(value)
        self._sources[value] = source
        for value, node in reversed(passed):
            source = self._move(node, source) if moves(node) else self._bounded(node, source)
            self._sources[value] = source
        return source

    def _passed_node(self, value: str) -> onnx.NodeProto | None:
        """Returns the movement or activation that produces a value and can be repeated on integers, or None."""
        node = self.model.producers.get(value)
        if node is None or self.model.is_constant(value) or self.report.refused(node):
            return None
        return node if moves(node) or node.op_type in ACTIVATIONS else None

    def set_source(self, value: str, source: Source) -> None:
        """Records that `source` represents the float value, and emits a DequantizeLinear for the readers of that value."""
        self._sources[value] = source
        self._settled.add(value)
        parameters = self.parameters(source.name, source.quantization)
        self.emit("DequantizeLinear", f"{source.name}_DequantizeLinear", [source.name, *parameters], value)

    def settle(self, value: str) -> None:
        """Moves the dequantization of a float value after the movement that produces it from dequantized integers."""
        if value not in self._settled:
            self.set_source(value, self.source(value))

    def is_made(self, value: str) -> bool:
        """Whether an emitted node produces the value."""
        return any(value in node.output for node in self._emitted)

    def is_settled(self, value: str) -> bool:
        """Whether the value is produced by a DequantizeLinear that lowering emitted."""
        return value in self._settled

    def _find_source(self, value: str) -> Source:
        node = self.model.producers.get(value)
        if node is not None and node.op_type == "DequantizeLinear" and self.model.is_constant(value):
            return Source(node.input[0], of_quantizer(self.model, node))
        if node is None or self.model.is_constant(value):
            if self.model.is_constant(value):
                raise RefusalError(f"its input '{value}' is a constant", "fold this node into a constant")
            raise RefusalError(
                f"its input '{value}' is a float input of the model",
                "put QuantizeLinear and DequantizeLinear before this node",
            )
        if self.report.refused(node):
            raise ConsequenceError
        if node.op_type == "DequantizeLinear":
            return Source(node.input[0], of_quantizer(self.model, node))
        raise RefusalError(
            f"its input '{value}' is computed in float by {described(node)}",
            quantize_between(self.report),
        )

    def _move(self, node: onnx.NodeProto, source: Source) -> Source:
        """Repeats a movement of float values on the integers that represent them."""
        pad = self.pad_constant(node, source.quantization, exact=True)
        name = self.repeat(node, source.name, pad, self.fresh(f"{node.output[0]}_quantized"))
        return Source(name, source.quantization)

    def _bounded(self, node: onnx.NodeProto, source: Source) -> Source:
        """Repeats a Relu or a Clip of dequantized values on the integers that represent them."""
        lo, hi = exact_bounds(self.model, node, source.quantization)
        info = np.iinfo(source.quantization.dtype)
        if (lo, hi) == (info.min, info.max):
            return source
        name = self.fresh(f"{node.output[0]}_quantized")
        self.clip(source.name, source.quantization, (lo, hi), name)
        return Source(name, source.quantization)

    def repeat(self, node: onnx.NodeProto, value: str, pad: str | None, output: str) -> str:
        """Emits a copy of a movement that reads the integers `value`; `pad` names the byte that a Pad inserts."""
        inputs = [value, *node.input[1:]]
        if pad is not None:
            inputs[2:3] = [pad]
        self._emitted.append(_copy(node, unused(quant_name(node), self._node_names), inputs, output))
        return output

    def clip(self, value: str, quantization: Quantization, bounds: tuple[int, int], output: str) -> None:
        """Emits a Clip of the integers `value`."""
        if self.model.opset < CLIP_OPSET:
            raise RefusalError(
                f"operator set {self.model.opset} has no Clip of integers, which its Relu or Clip needs here",
                f"convert the model to operator set {CLIP_OPSET} or later with onnx.version_converter",
            )
        names = (f"{output}_lo", f"{output}_hi")
        ends = [self.constant(name, np.array(b, quantization.dtype)) for name, b in zip(names, bounds, strict=True)]
        self.emit("Clip", f"{output}_clamp", [value, *ends], output)

    def pad_constant(self, node: onnx.NodeProto, quantization: Quantization, exact: bool) -> str | None:
        """Returns the name of the byte that a Pad inserts.

        Returns None for other nodes, and an empty name for a Pad that repeats elements of the image. If `exact` is set, a
        padding value that no byte represents exactly is refused.
        """
        if node.op_type != "Pad":
            return None
        if attribute(node, "mode", "constant") != "constant":
            return ""
        given = len(node.input) > 2 and node.input[2]
        if given and not self.model.is_constant(node.input[2]):
            raise RefusalError("its padding value is not constant", "pad with a constant")
        value = np.float32(self.model.constants[node.input[2]].reshape(())) if given else np.float32(0)
        byte = quantization.quantize(float(value))
        if exact and quantization.dequantize(byte) != value:
            raise RefusalError(
                f"the padding value lies between two steps of the scale {quantization.scale:.9g}",
                f"pad with {quantization.dequantize(byte):.9g}",
                f"constant_value = {value}",
            )
        return self.constant(f"{node.output[0]}_pad", np.array(byte, quantization.dtype))

    def fresh(self, name: str) -> str:
        """Returns a value name that is not in use: `name` if possible."""
        return unused(name, self._names)

    def constant(self, name: str, value: Array) -> str:
        """Adds an initializer and returns its name."""
        name = self.fresh(name)
        self._initializers[name] = value
        return name

    def parameters(self, name: str, quantization: Quantization) -> tuple[str, str]:
        """Adds the scale and the zero point of the integer value called `name` as initializers; returns their names."""
        scale = self.constant(f"{name}_scale", np.array(quantization.scale, np.float32))
        zero = self.constant(f"{name}_zero_point", np.array(quantization.zero_point, quantization.dtype))
        return scale, zero

    def operand(self, source: Source) -> list[str]:
        """Returns the inputs with which QLinear operators take an integer operand: value, scale, zero point."""
        return [source.name, *self.parameters(source.name, source.quantization)]

    def through(self, node: onnx.NodeProto, operator: str, value: str, *constants: Array, **attributes: Any) -> str:
        """Emits a node between `value` and the operator that replaces `node`; returns the name of its result."""
        output = self.fresh(f"{quant_name(node)}_{operator}")
        operands = [self.constant(f"{output}_operand", constant) for constant in constants]
        self.emit(operator, output, [value, *operands], output, **attributes)
        return output

    def stands_for_integers(self, value: str) -> bool:
        """Whether a float value is a dequantized integer value, with only movement and maxima in between."""
        node = self.model.producers.get(value)
        while node is not None and (node.op_type in MAXIMA or moves(node)):
            node = self.model.producers.get(node.input[0])
        return node is not None and node.op_type == "DequantizeLinear"

    def emit(
        self, operator: str, name: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any
    ) -> None:
        """Adds a node that produces `output`; it replaces an existing producer of `output`."""
        name = unused(name, self._node_names)
        node = onnx.helper.make_node(operator, list(inputs), [output], name=name, domain=domain, **attributes)
        self._emitted.append(node)
        if self.current is not None:
            set_origin(node, self.current)

    def finish(self) -> onnx.ModelProto:
        """Returns the rewritten model, sorted and without unused nodes, or the given model if nothing was rewritten."""
        if not self._emitted:
            return self.model.proto
        replaced = {name for node in self._emitted for name in node.output}
        kept = [node for node in self.model.nodes if not replaced.intersection(node.output) and not self._folded(node)]
        nodes = sort_nodes([*kept, *self._emitted], self.model.outputs)
        return self._assemble(nodes)

    def _folded(self, node: onnx.NodeProto) -> bool:
        """Whether the node was a dequantized constant, which is now a float initializer.

        If the DequantizeLinear stayed, ONNX Runtime could fuse it with the float operators around it and compute other
        values than the lookup tables hold.
        """
        name = node.output[0]
        if node.op_type != "DequantizeLinear" or not self.model.is_constant(name) or name in self.model.outputs:
            return False
        self._initializers[name] = self.model.constants[name]
        return True

    def _assemble(self, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
        lowered = onnx.ModelProto()
        lowered.CopyFrom(self.model.proto)
        graph = lowered.graph
        del graph.node[:], graph.value_info[:], graph.initializer[:]
        graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input} | set(self.model.outputs)
        graph.initializer.extend(tensor for tensor in self.model.proto.graph.initializer if tensor.name in used)
        graph.initializer.extend(
            onnx.numpy_helper.from_array(value, name) for name, value in self._initializers.items() if name in used
        )
        for value in [v for v in graph.input if v.name not in used and v not in self.model.inputs]:
            graph.input.remove(value)
        if MICROSOFT not in {entry.domain for entry in lowered.opset_import}:
            lowered.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
        return lowered


def quant_name(node: onnx.NodeProto) -> str:
    """Returns the name of the integer node that replaces `node`."""
    return f"{node_name(node)}_quant"


def _copy(node: onnx.NodeProto, name: str, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    copy = copied_node(node)
    set_origin(copy, node)
    copy.name = name
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.append(output)
    return copy
