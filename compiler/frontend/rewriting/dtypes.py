"""Converts all activations of a network to uint8 if it mixes int8 and uint8 where ONNX Runtime has no integer kernel.

An int8 tensor with zero point z becomes a uint8 tensor with the bytes + 128 and zero point z + 128, which represents the
same real values. Inputs and outputs of the model keep their dtype; an element-wise function converts them.
"""

from collections.abc import Iterator

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute, drop_attributes
from arrayloom.compiler.frontend.kinds import BY_HOST, MOVEMENTS, NOTHING, WEIGHTED
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.rewriting.mixing import mixes_dtypes
from arrayloom.compiler.frontend.rewriting.operands import CONCAT, OPERANDS
from arrayloom.compiler.frontend.runtime import Array

OFFSET = 128
_INT8 = np.dtype(np.int8)

#: Operators that only move or choose elements, so that the offset passes through them.
_TRANSPARENT = (*MOVEMENTS, *NOTHING, "MaxPool", "Split", "DepthToSpace", "SpaceToDepth", "Concat", "Clip", "Max", "Min")

#: Operators whose result is a position, not a value.
_POSITIONS = ("ArgMax", "ArgMin")


def unify_dtypes(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model with its int8 activations converted to uint8, if some operator needs it."""
    if not any(_is_int8(model, name) for name in model.dtypes):
        return model
    if not mixes_dtypes(model) or not all(_known(model, node) for node in model.nodes):
        return model
    return _Relabelling(model).run()


def _known(model: Model, node: onnx.NodeProto) -> bool:
    """Whether the node can be converted; a node without int8 activations need not be."""
    if not any(_is_int8(model, name) for name in (*node.input, *node.output)):
        return True
    if node.op_type == "Resize":
        return bool(attribute(node, "mode", "nearest") == "nearest")
    return node.op_type in (*_TRANSPARENT, *_POSITIONS, "Relu", *OPERANDS, CONCAT)


def _is_int8(model: Model, name: str) -> bool:
    return bool(name) and name in model.dtypes and model.dtypes[name] == _INT8 and not model.is_constant(name)


class _Relabelling:
    """The conversion of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._editor = Editor(model)
        self._constants: dict[str, str] = {}
        self._kept = _host_values(model)

    def run(self) -> Model:
        for node in self._editor.nodes:
            if self._kept.intersection(node.output):
                continue
            if any(_is_int8(self._model, name) for name in (*node.input, *node.output)):
                self._relabel(node)
            elif self._is_constant_operand_in_float(node):
                self._editor.touch()
                self._shift(node, 2)
                self._shift(node, 0)
        for value in self._model.inputs:
            if _is_int8(self._model, value.name):
                self._keep_input(value.name)
        for node in self._model.nodes:
            for name in node.output:
                if name not in self._kept and _is_int8(self._model, name):
                    self._keep_for_host(node, name)
        return self._editor.finish()

    def _relabel(self, node: onnx.NodeProto) -> None:
        self._editor.touch()
        for value, zero_point in _pairs(node):
            if value not in self._kept and (_is_int8(self._model, value) or self._is_constant_operand(node, value)):
                self._shift(node, zero_point)
        if node.op_type == "Relu":
            self._relu(node)
        elif node.op_type == "Pad":
            self._shift(node, 2)
        elif node.op_type in _TRANSPARENT and node.op_type not in MOVEMENTS:
            for index, name in enumerate(node.input):
                if name and self._model.is_constant(name) and self._model.dtypes[name] == _INT8:
                    self._shift(node, index)
        if node.op_type == "QuantizeLinear":
            drop_attributes(node, "output_dtype")

    def _is_constant_operand(self, node: onnx.NodeProto, value: str) -> bool:
        """Whether `value` is a constant in place of an activation (not a weight), which is then converted here."""
        if node.op_type not in ("QLinearAdd", "QLinearMul", CONCAT) or not self._model.is_constant(value):
            return False
        self._shift(node, list(node.input).index(value))
        return True

    def _is_constant_operand_in_float(self, node: onnx.NodeProto) -> bool:
        """Whether the node dequantizes an int8 constant that is not the weight of a product."""
        if node.op_type != "DequantizeLinear" or self._model.dtypes[node.input[0]] != _INT8:
            return False
        readers = self._model.consumers.get(node.output[0], [])
        return all(reader.op_type not in (*WEIGHTED, "Transpose") for reader in readers)

    def _relu(self, node: onnx.NodeProto) -> None:
        node.op_type = "Clip"
        node.input.append(self._editor.constant(f"{node.output[0]}_lowest", OFFSET, np.uint8))

    def _shift(self, node: onnx.NodeProto, index: int) -> None:
        """Replaces an int8 constant of a node, 0 if left out, by the uint8 one with the bytes + 128."""
        while len(node.input) <= index:
            node.input.append("")
        name = node.input[index]
        if not name:
            node.input[index] = self._editor.constant(f"{node.output[0]}_zero", self._zeros(node, index) + OFFSET)
            return
        if self._model.dtypes.get(name) != _INT8:
            return
        if name not in self._constants:
            shifted = (self._model.constants[name].astype(np.int16) + OFFSET).astype(np.uint8)
            self._constants[name] = self._editor.constant(f"{name}_uint8", shifted)
        node.input[index] = self._constants[name]

    def _zeros(self, node: onnx.NodeProto, index: int) -> Array:
        """Returns the uint8 zeros that an omitted input stands for, with the shape of the scale if it is a zero point."""
        quantizer = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        return np.zeros(self._model.constants[node.input[1]].shape if quantizer and index == 2 else (), np.uint8)

    def _keep_input(self, name: str) -> None:
        inner = self._editor.fresh(f"{name}_uint8")
        readers = [node for node in self._model.consumers.get(name, []) if not self._kept.intersection(node.output)]
        if readers:
            self._editor.replace_readers(name, inner, readers)
            self._convert(name, inner, readers[0], np.zeros((), np.int8), np.full((), OFFSET, np.uint8))

    def _keep_for_host(self, producer: onnx.NodeProto, name: str) -> None:
        """Converts a value back to int8 for the host and for outputs of the model."""
        readers = [node for node in self._model.consumers.get(name, []) if self._kept.intersection(node.output)]
        if name in self._model.outputs:
            before, after = self._editor.fresh(f"{name}_uint8"), name
            others = [node for node in self._model.consumers.get(name, []) if not self._kept.intersection(node.output)]
            self._editor.replace_readers(name, before, others)
            self._editor.rename(name, before)
        elif readers:
            before, after = name, self._editor.fresh(f"{name}_int8")
            self._editor.replace_readers(name, after, readers)
        else:
            return
        self._convert(before, after, producer, np.full((), OFFSET, np.uint8), np.zeros((), np.int8))

    def _convert(self, value: str, result: str, like: onnx.NodeProto, before: Array, after: Array) -> None:
        """Emits DequantizeLinear and QuantizeLinear with scale 1, which give the same numbers in the other dtype."""
        one = self._editor.constant(f"{result}_one", 1, np.float32)
        zero_points = [self._editor.constant(f"{result}_{zero.dtype}_zero_point", zero) for zero in (before, after)]
        real = self._editor.fresh(f"{result}_real")
        self._editor.add("DequantizeLinear", [value, one, zero_points[0]], real, like)
        self._editor.add("QuantizeLinear", [real, one, zero_points[1]], result, like)


def _host_values(model: Model) -> set[str]:
    """Returns the int8 values that the host computes: softmax, and values only moved on the way to outputs of the model."""
    found: set[str] = set()
    for node in model.nodes:
        producer = model.producers.get(node.input[0]) if node.input else None
        softmax = node.op_type == "QLinearSoftmax" or (
            node.op_type == "QuantizeLinear" and producer is not None and producer.op_type == "Softmax"
        )
        if (softmax or found.intersection(node.input)) and all(_is_int8(model, name) for name in node.output):
            found.update(node.output)
    for node in reversed(model.nodes):
        name = node.output[0]
        moved = node.op_type in BY_HOST and _is_int8(model, name)
        readers = {output for reader in model.consumers.get(name, []) for output in reader.output}
        if moved and (name in model.outputs or readers) and readers <= found:
            found.add(name)
    return found


def _pairs(node: onnx.NodeProto) -> Iterator[tuple[str, int]]:
    """Yields each integer activation that a node reads or computes, with the index of the input that is its zero point."""
    if node.op_type == CONCAT:
        yield node.output[0], 1
        yield from ((node.input[index], index + 2) for index in range(2, len(node.input), 3))
        return
    for place, zero_point in OPERANDS.get(node.op_type, {}).items():
        yield (node.output[0] if place < 0 else node.input[place]), zero_point
