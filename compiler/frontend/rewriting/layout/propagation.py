"""Propagates the layouts in which values are stored: a Transpose only changes the layout until it must be done."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import drop_attributes
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import set_origin
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.rewriting.layout.constants import Constants
from arrayloom.compiler.frontend.rewriting.layout.cost import Cost
from arrayloom.compiler.frontend.rewriting.layout.order import (
    Layout,
    Order,
    inverse,
    keeps_elements,
    mixes_channels,
    plain,
)
from arrayloom.compiler.frontend.rewriting.layout.placement import (
    host_values,
    is_misplaced,
    placed_value,
    stands_in_the_way,
    undone_dequantizer,
)


class Propagation:
    """A copy of a model in which values are stored in other layouts.

    Parameters
    ----------
    model
        The model.
    input_orders
        For some inputs, the order of a Transpose that is applied first.

    Attributes
    ----------
    constants
        Creates constant operands in other layouts.
    """

    def __init__(self, model: Model, input_orders: Mapping[str, Order]) -> None:
        self.model = model
        self.editor = Editor(model)
        self.constants = Constants(model, self.editor)
        self._layouts: dict[str, Layout] = {}
        self._names: dict[str, str] = {}  # value -> name of the stored value, if they differ
        self._made: dict[tuple[str, Layout], str] = {}  # (stored value, layout change) -> its result
        self._forms: dict[str, set[Order]] = {value.name: set() for value in model.inputs}  # orders in which inputs are read
        self._mixing = self._transposes = 0
        self._counted: set[tuple[str, Layout]] = set()
        self._host_values = host_values(model)
        for name, order in input_orders.items():
            self._store_input(name, order)

    @property
    def cost(self) -> Cost:
        """The Transposes left inside the network and the misplaced operators; one Transpose of each input is the host's."""
        more = sum(max(0, len(forms) - 1) for forms in self._forms.values())
        return self._mixing + more, self._transposes + more

    def layout(self, value: str) -> Layout:
        """Returns the layout in which a value is stored."""
        return self._layouts.get(value) or plain(len(self.model.shapes[value]))

    def is_moved(self, value: str) -> bool:
        """Whether a value is stored in another layout or under another name than in the model."""
        return value in self._names

    def transpose(self, node: onnx.NodeProto, order: Order) -> None:
        """Removes a Transpose; its result becomes its operand in another layout."""
        operand = node.input[0]
        layout = self.layout(operand)
        if layout.unflattened is not None:  # it does not change [N, F]
            self._alias(node, operand, layout)
        else:
            self._alias(node, operand, Layout(tuple(layout.order[axis] for axis in order)))

    def is_host_work(self, node: onnx.NodeProto) -> bool:
        """Whether the host may compute the node and everything after it."""
        return self._host_values.issuperset(node.output)

    def merge(self, quantizer: onnx.NodeProto) -> bool:
        """Removes a QuantizeLinear that reverses a DequantizeLinear before a Transpose; returns whether it is one."""
        node = undone_dequantizer(self.model, quantizer)
        if node is None or self.layout(node.input[0]) != self.layout(node.output[0]):
            return False
        self._alias(quantizer, node.input[0], self.layout(quantizer.input[0]))
        return True

    def stored(self, node: onnx.NodeProto, value: str, layout: Layout) -> str:
        """Returns the name under which `node` reads `value` in `layout`; emits a conversion if necessary."""
        name = self._names.get(value, value)
        if self.layout(value) != layout:
            key = name, self._difference(value, layout)
            if not self.is_host_work(node):
                self._count(key, value, layout)
            if key not in self._made:
                self._made[key] = self._convert(node, value, layout)
            name = self._made[key]
        self._note_form(name, plain(len(self.model.shapes[value])).order)
        return name

    def conversion(self, value: str, layout: Layout) -> Cost:
        """Returns the cost that `stored` would add."""
        difference = self._difference(value, layout)
        if difference.is_plain or (self._names.get(value, value), difference) in self._counted:
            return 0, 0
        if difference.unflattened is not None:
            return 1, 1
        shape = self.layout(value).stored_shape(self.model.shapes[value])
        return int(mixes_channels(shape, difference.order)), int(not keeps_elements(shape, difference.order))

    def change(self, node: onnx.NodeProto, inputs: Sequence[str], layouts: Sequence[Layout], **attributes: Any) -> None:
        """Makes `node` read `inputs` and store its outputs in `layouts`, with some attributes changed."""
        copy = self._read(node, inputs)
        for name, layout in zip(node.output, layouts, strict=True):
            if name and not layout.is_plain:
                self._names[name], self._layouts[name] = self.editor.fresh(f"{name}_stored"), layout
                self.editor.rename(name, self._names[name])
        drop_attributes(copy, *attributes)
        copy.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())

    def reshape(self, node: onnx.NodeProto, extents: Sequence[int], layout: Layout) -> None:
        """Replaces `node`, whose operand is moved, by a Reshape of the stored operand to [N, *extents] in `layout`."""
        copy = self.editor.maker(node.output[0])
        copy.CopyFrom(onnx.helper.make_node("Reshape", [""], node.output, name=node.name))
        set_origin(copy, node)
        shape = self.editor.constant(f"{node.output[0]}_shape", np.array([0, *extents], np.int64))
        self.change(node, [self._names[node.input[0]], shape], [layout])

    def settle(self, node: onnx.NodeProto) -> None:
        """Makes `node` read its operands in the model's own layout."""
        names = [self.stored(node, name, plain(len(self.model.shapes[name]))) if name and not self.model.is_constant(name)
                 else name for name in node.input]
        if list(node.input) != names:
            self._read(node, names)

    def finish(self) -> Model:
        """Returns the changed model, whose outputs are those of the given one."""
        for name in [name for name in self.model.outputs if name in self._names and name in self.model.producers]:
            self._restore(name)
        return self.editor.finish()

    def note_placement(self, node: onnx.NodeProto, as_stored: bool) -> None:
        """Counts a node that is misplaced, on its operands as they are stored or in the model's own layout."""
        value = placed_value(node)
        layout = self.layout(value) if as_stored else plain(len(self.model.shapes[value]))
        self._mixing += not self.is_host_work(node) and is_misplaced(self.model, node, layout)

    def _store_input(self, name: str, order: Order) -> None:
        node = self.model.consumers[name][0]
        stored = self.editor.fresh(f"{name}_stored")
        self.editor.add("Transpose", [name], stored, like=node, perm=order)
        self._names[name], self._layouts[name] = stored, Layout(inverse(order))
        self._made[stored, Layout(inverse(order))] = name
        self._forms[name].add(order)

    def _read(self, node: onnx.NodeProto, inputs: Sequence[str]) -> onnx.NodeProto:
        copy = self.editor.maker(next(name for name in node.output if name))
        copy.input[:] = inputs
        self.editor.touch()
        return copy

    def _count(self, key: tuple[str, Layout], value: str, layout: Layout) -> None:
        """Adds the cost of converting a value, once; the host does the first conversion of an input."""
        mixing, transposes = self.conversion(value, layout)
        if key[0] not in self._forms:
            self._mixing += mixing + (transposes and stands_in_the_way(self.model, value))
            self._transposes += transposes
        self._counted.add(key)

    def _difference(self, value: str, layout: Layout) -> Layout:
        """Returns how `value`, stored in `layout`, follows from the stored value.

        Either both have the same flattened layout, or at most one of them is flattened.
        """
        given = self.layout(value)
        if given.unflattened is not None:
            return plain(len(self.model.shapes[value])) if given == layout else given
        return Layout(tuple(given.order[axis] for axis in inverse(layout.order)))

    def _note_form(self, name: str, order: Order) -> None:
        if name in self._forms:
            self._forms[name].add(order)

    def _alias(self, node: onnx.NodeProto, operand: str, layout: Layout) -> None:
        self.editor.remove([node])
        self._names[node.output[0]] = self._names.get(operand, operand)
        self._layouts[node.output[0]] = layout

    def _convert(self, node: onnx.NodeProto, value: str, layout: Layout) -> str:
        """Emits the conversion of a stored value to another layout."""
        source, order = self._names.get(value, value), self._difference(value, layout).order
        self._note_form(source, order)
        name = value if layout.is_plain and value in self._names else self.editor.fresh(f"{value}_stored")
        return self._write(self._maker(value, node), value, (source, name), order)

    def _write(self, like: onnx.NodeProto, value: str, names: tuple[str, str], order: Order) -> str:
        """Emits a Transpose by `order` of the stored `value`; `names` are the names of its operand and its result."""
        given, (source, name) = self.layout(value), names
        shape = given.stored_shape(self.model.shapes[value])
        if given.unflattened is not None:
            extents = given.unflattened
            whole = self._reshaped(like, source, extents, self.editor.fresh(f"{name}_unflattened"))
            moved = self.editor.fresh(f"{name}_transposed")
            self.editor.add("Transpose", [whole], moved, like=like, perm=order)
            return self._reshaped(like, moved, shape[1:], name)
        if keeps_elements(shape, order):
            return self._reshaped(like, source, [shape[axis] for axis in order[1:]], name)
        return self.editor.add("Transpose", [source], name, like=like, perm=order)

    def _reshaped(self, like: onnx.NodeProto, source: str, extents: Sequence[int], name: str) -> str:
        shape = self.editor.constant(f"{name}_shape", np.array([0, *extents], np.int64))
        return self.editor.add("Reshape", [source, shape], name, like=like)

    def _restore(self, name: str) -> None:
        """Emits an output of the model under its own name and in its own layout."""
        like, layout, source = self.model.producers[name], self.layout(name), self._names[name]
        made = source if layout.is_plain else self._made.get((source, layout))
        if made is None:
            self._write(like, name, (source, name), layout.order)
        elif made != name:
            self.editor.add("Identity", [made], name, like=like)

    def _maker(self, value: str, reader: onnx.NodeProto) -> onnx.NodeProto:
        """Returns the origin of a Transpose of `value` for `reader`: the Transpose that moved the value, or the reader."""
        while value in self._names and (node := self.model.producers.get(value)) is not None:
            if node.op_type == "Transpose":
                return node
            value = next((name for name in node.input if name in self._names), "")
        return reader
