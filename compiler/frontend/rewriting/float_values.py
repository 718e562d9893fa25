"""Finds the float values between integer layers that must be quantized before the layers that read them can be lowered."""

from dataclasses import dataclass

import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, FUNCTIONS, MAXIMA, moves
from arrayloom.compiler.frontend.layers import is_quantized_layer
from arrayloom.compiler.frontend.lowering import RULES
from arrayloom.compiler.frontend.lowering.bounds import exact_bounds
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.quantization import BYTES, Quantization, known_quantization
from arrayloom.compiler.frontend.report import RefusalError

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class _State:
    """How a float value is computed.

    Attributes
    ----------
    sources
        The quantized tensors of which it is an element-wise function.
    computed
        Whether it is the result of an operator that combines elements, possibly followed by activations.
    root
        The value to quantize instead of this one, which is before movement.
    """

    sources: frozenset[str]
    computed: bool
    root: str


class FloatValues:
    """Visits a model's nodes in order and finds the values to quantize.

    Attributes
    ----------
    found
        The values, in the order in which they are found.
    readers
        The layers that read them.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._before_integers = _before_integers(model)
        self._before_quantizers = _before_quantizers(model)
        self._states: dict[str, _State] = {}
        self._settled: set[str] = set()  # results whose paths to QuantizeLinear the lowering handles
        self._integers: dict[str, Quantization | None] = {}  # of roots that represent integers exactly
        self.found: dict[str, None] = {}
        self.readers: list[onnx.NodeProto] = []

    def find(self) -> list[str]:
        """Returns the values to quantize, in topological order."""
        for node in self._model.nodes:
            if not self._model.is_constant(node.output[0]):
                self._visit(node)
        order = [name for node in self._model.nodes for name in node.output if name in self.found]
        return list(dict.fromkeys(order))

    def _visit(self, node: onnx.NodeProto) -> None:
        operands = [name for name in dict.fromkeys(node.input) if name and not self._model.is_constant(name)]
        if node.op_type == _DEQUANTIZE:
            self._states[node.output[0]] = _State(frozenset({node.input[0]}), computed=False, root=node.output[0])
            self._integers[node.output[0]] = known_quantization(self._model, node)
        elif not self._is_wanted(node) or not operands or not all(name in self._states for name in operands):
            return
        elif moves(node):
            self._visit_movement(node)
        elif self._combines(node, operands):
            self._visit_layer(node, operands)
        elif node.op_type in MAXIMA:
            self._require_integers(operands[0])
            self._keep(node, operands[0])
        elif node.op_type in FUNCTIONS:
            self._visit_function(node, operands)

    def _is_wanted(self, node: onnx.NodeProto) -> bool:
        """Whether the node is an integer layer or one depends on it."""
        return not self._before_integers.isdisjoint(node.output) or is_quantized_layer(self._model, node)

    def _combines(self, node: onnx.NodeProto, operands: list[str]) -> bool:
        """Whether the lowering makes an integer operator of the node, so that its operands must be integers."""
        if node.op_type not in RULES or node.op_type in (*MAXIMA, _QUANTIZE) or not is_onnx(node):
            return False
        if node.op_type not in FUNCTIONS:
            return True
        if len(operands) < 2:
            return False
        computed = any(self._states[name].computed for name in operands)
        return computed or len(self._common(operands)) > 1 or all(self._is_integer(name) for name in operands)

    def _common(self, operands: list[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._states[name].sources for name in operands))

    def _visit_layer(self, node: onnx.NodeProto, operands: list[str]) -> None:
        for name in operands:
            self._require_integers(name)
            if self._states[name].sources.intersection(self.found):
                self.readers.append(node)
        for output in node.output:
            self._states[output] = _State(frozenset({output}), computed=True, root=output)
        self._settle(node)

    def _visit_movement(self, node: onnx.NodeProto) -> None:
        given = self._states[node.input[0]]
        for output in node.output:
            self._states[output] = _State(given.sources, given.computed, given.root)

    def _visit_function(self, node: onnx.NodeProto, operands: list[str]) -> None:
        state = self._states[operands[0]]
        if node.op_type in ACTIVATIONS and state.root in self._settled:
            self._states[node.output[0]] = state
            return
        if node.op_type in ACTIVATIONS and self._is_integer(operands[0]) and self._is_exact(node, operands[0]):
            self._keep(node, operands[0])
            return
        if len(operands) == 1 and state.computed and self._joins(node, operands[0]):
            self._states[node.output[0]] = _State(frozenset({node.output[0]}), computed=True, root=node.output[0])
            self._settle(node)
            return
        for name in operands:
            if self._states[name].computed:
                self._quantize(self._states[name].root)
        self._states[node.output[0]] = _State(self._common(operands), computed=False, root=node.output[0])

    def _joins(self, node: onnx.NodeProto, operand: str) -> bool:
        """Whether the lowering merges a function with the layer before it."""
        state, producer = self._states[operand], self._model.producers[operand]
        if state.root != operand or self._readers(operand) != [node] or operand in self._model.outputs:
            return False
        return node.op_type in ACTIVATIONS or (node.op_type == "Add" and producer.op_type == "MatMul")

    def _settle(self, node: onnx.NodeProto) -> None:
        """Quantizes the result of a layer if it is an output, moved, read by several nodes, or not read by an integer layer.

        A result that reaches only QuantizeLinear nodes needs no quantization.
        """
        value = node.output[0]
        readers = self._readers(value)
        if value in self._before_quantizers:
            self._settled.add(value)
            return
        moved = any(moves(reader) for reader in readers)
        if value in self._model.outputs or moved or len(readers) > 1:
            self._quantize(value)
        elif value not in self._before_integers:
            self._quantize_last(node, readers)

    def _is_exact(self, node: onnx.NodeProto, operand: str) -> bool:
        """Whether integer bounds can replace a bound on dequantized values exactly."""
        quantization = self._integers.get(self._states[operand].root)
        try:
            return quantization is not None and bool(exact_bounds(self._model, node, quantization))
        except RefusalError:
            return False

    def _quantize_last(self, node: onnx.NodeProto, readers: list[onnx.NodeProto]) -> None:
        """Quantizes the result of a last layer, after an activation that is merged with it."""
        if not (len(readers) == 1 and self._joins(readers[0], node.output[0])):
            self._quantize(node.output[0])
            return
        self._quantize(readers[0].output[0])

    def _readers(self, value: str) -> list[onnx.NodeProto]:
        return self._model.consumers.get(value, [])

    def _keep(self, node: onnx.NodeProto, operand: str) -> None:
        """Records that the results of a node are integers with the quantization of its operand, if that is known."""
        given = self._states[operand]
        for output in node.output:
            self._states[output] = _State(given.sources, computed=False, root=output)
            self._integers[output] = self._integers.get(given.root)

    def _is_integer(self, value: str) -> bool:
        """Whether a value is a quantized tensor, possibly moved."""
        root = self._states[value].root
        return root in self.found or root in self._integers

    def _require_integers(self, value: str) -> None:
        if not self._is_integer(value):
            self._quantize(self._states[value].root)

    def _quantize(self, root: str) -> None:
        producer = self._model.producers[root]
        if producer.op_type == _DEQUANTIZE:
            return
        self.found[root] = None
        for value, state in list(self._states.items()):
            if state.root == root:
                self._states[value] = _State(frozenset({root}), computed=False, root=root)


def _before_integers(model: Model) -> set[str]:
    """Returns the values on which some integer value or some layer with quantized weights depends."""
    before: set[str] = set()
    for node in reversed(model.nodes):
        integer = model.dtypes[node.output[0]] in BYTES or is_quantized_layer(model, node)
        if not model.is_constant(node.output[0]) and (integer or before.intersection(node.output)):
            before.update(name for name in node.input if name and not model.is_constant(name))
    return before


def _before_quantizers(model: Model) -> set[str]:
    """Returns the values that only QuantizeLinear nodes read, directly or after movement and bounds."""
    found: set[str] = set()
    for node in reversed(model.nodes):
        for value in node.output:
            readers = model.consumers.get(value, [])
            if readers and value not in model.outputs and all(_quantizes(reader, value, found) for reader in readers):
                found.add(value)
    return found


def _quantizes(reader: onnx.NodeProto, value: str, found: set[str]) -> bool:
    """Whether a reader is a QuantizeLinear of the value, or an activation or movement with a result in `found`."""
    passed = (reader.op_type in ACTIVATIONS or moves(reader)) and reader.output[0] in found
    return reader.input[0] == value and (reader.op_type == _QUANTIZE or passed)
