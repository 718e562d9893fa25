"""Copies constant operands into the order of dimensions in which the other operand is stored.

A dequantized constant stays quantized, so that its scale and zero point remain known.
"""

from collections.abc import Callable

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.rewriting.layout.order import Layout, Order, inverse
from arrayloom.compiler.frontend.runtime import Array


class Constants:
    """Creates copies of a model's constants in other orders."""

    def __init__(self, model: Model, editor: Editor) -> None:
        self._model = model
        self._editor = editor

    def spread(self, name: str, layout: Layout, rank: int) -> str:
        """Returns the constant operand of an element-wise operator of `rank` whose other operand is stored in `layout`."""
        values = self._model.constants[name]
        if values.size == 1:
            return name
        if layout.unflattened is not None:
            picks = np.argsort(layout.sources())
            return self._made(name, values if values.shape[-1] == 1 else np.take(values, picks, axis=-1))
        if values.ndim == rank and self._follows_batch(name):
            return self._transposed(name, inverse(layout.order))

        def arranged(array: Array) -> Array:
            return array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(inverse(layout.order))

        def moved(axis: int) -> int:
            return layout.order[axis % values.ndim + rank - values.ndim]

        return self._through_dequantizer(name, arranged, moved)

    def picked(self, name: str, axis: int, picks: Array) -> str:
        """Returns a weight with the elements `picks` along `axis` of the given one."""
        node = self._model.producers.get(name)
        if node is not None and node.op_type == "Transpose":
            rank = len(self._model.shapes[node.input[0]])
            order = attribute(node, "perm", list(range(rank))[::-1])
            inner = self.picked(node.input[0], order[axis], picks)
            return self._editor.add("Transpose", [inner], self._editor.fresh(f"{name}_picked"), like=node, perm=order)
        channel = None if node is None or node.op_type != "DequantizeLinear" else self._channel_axis(node)
        if channel == axis:
            return self._made(name, np.take(self._model.constants[name], picks, axis))
        return self._through_dequantizer(name, lambda array: np.take(array, picks, axis), lambda given: given)

    def _follows_batch(self, name: str) -> bool:
        """Whether the extents of a constant depend on the shape of a value, such as a class token repeated per image."""
        waiting, seen = [name], {name}
        while waiting:
            node = self._model.producers.get(waiting.pop())
            if node is None:
                continue
            if node.op_type == "Shape":
                return True
            waiting += [given for given in node.input if given and given not in seen]
            seen.update(node.input)
        return False

    def _transposed(self, name: str, order: Order) -> str:
        """Emits a Transpose of a constant whose extents depend on the batch, before its DequantizeLinear if it has one."""
        node = self._model.producers[name]
        output = self._editor.fresh(f"{name}_arranged")
        if node.op_type != "DequantizeLinear" or self._channel_axis(node) is not None:
            return self._editor.add("Transpose", [name], output, like=node, perm=order)
        quantized = self._editor.fresh(f"{node.input[0]}_arranged")
        self._editor.add("Transpose", [node.input[0]], quantized, like=node, perm=order)
        return self._editor.add("DequantizeLinear", [quantized, *node.input[1:]], output, like=node, domain=node.domain)

    def _through_dequantizer(self, name: str, change: Callable[[Array], Array], moved: Callable[[int], int]) -> str:
        node = self._model.producers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or attribute(node, "block_size", 0):
            return self._made(name, change(self._model.constants[name]))
        quantized = self._made(node.input[0], change(self._model.constants[node.input[0]]))
        axis = self._channel_axis(node)
        attributes = {} if axis is None else {"axis": moved(axis)}
        output = self._editor.fresh(f"{name}_arranged")
        return self._editor.add(
            "DequantizeLinear", [quantized, *node.input[1:]], output, like=node, domain=node.domain, **attributes
        )

    def _channel_axis(self, node: onnx.NodeProto) -> int | None:
        """Returns the non-negative axis of a per-channel DequantizeLinear, or None if it is per tensor."""
        if self._model.constants[node.input[1]].size == 1:
            return None
        return int(attribute(node, "axis", 1)) % len(self._model.shapes[node.input[0]])

    def _made(self, name: str, values: Array) -> str:
        return self._editor.constant(f"{name}_arranged", np.ascontiguousarray(values))
