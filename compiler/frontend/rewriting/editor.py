"""Edits an ONNX model: adds nodes and constants, replaces the producers and the readers of values."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import set_origin
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.frontend.sorting import sort_nodes
from arrayloom.compiler.frontend.tidy.edit import copied_node, unused


class Editor:
    """A copy of a model being changed; `finish` sorts it and removes unused nodes.

    Attributes
    ----------
    model
        The model before the changes, with facts about its values.
    changed
        Whether anything was changed.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.changed = False
        self._initializers: dict[str, Array] = {}
        self._keys = count(len(model.nodes))

    @cached_property
    def _nodes(self) -> dict[int, onnx.NodeProto]:
        """The nodes by key; they are copied at the first access, since most passes change nothing."""
        return dict(enumerate(map(copied_node, self.model.nodes)))

    @cached_property
    def _makers(self) -> dict[str, int]:
        return {name: key for key, node in self._nodes.items() for name in node.output if name}

    @cached_property
    def _names(self) -> set[str]:
        return {*self.model.dtypes, *(name for node in self.model.proto.graph.node for name in node.output)}

    @cached_property
    def _node_names(self) -> set[str]:
        return {node.name for node in self.model.proto.graph.node}

    @property
    def nodes(self) -> tuple[onnx.NodeProto, ...]:
        """The current nodes, not sorted; their inputs and attributes may be changed in place, followed by `touch`."""
        return tuple(self._nodes.values())

    def maker(self, value: str) -> onnx.NodeProto:
        """Returns the node that currently computes a value."""
        return self._nodes[self._makers[value]]

    def rename(self, value: str, by: str) -> None:
        """Gives the value that a node computes another name; readers are not changed."""
        node = self.maker(value)
        node.output[:] = [by if name == value else name for name in node.output]
        self._makers[by] = self._makers.pop(value)
        self.changed = True

    def touch(self) -> None:
        """Records that a node was changed in place."""
        self.changed = True

    def fresh(self, name: str) -> str:
        """Returns a value name that is not in use: `name` if possible."""
        return unused(name, self._names)

    def constant(self, name: str, value: Array | float | int, dtype: Any = None) -> str:
        """Adds an initializer under an unused name and returns that name."""
        name = self.fresh(name)
        self._initializers[name] = np.asarray(value, dtype)
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, like: onnx.NodeProto, domain: str = "",
            **attributes: Any) -> str:
        """Adds a node that computes `output` and has the origin of `like`; returns `output`."""
        name = unused(f"{like.name or output}_{operator}", self._node_names)
        node = onnx.helper.make_node(operator, list(inputs), [output], name=name, domain=domain, **attributes)
        set_origin(node, like)
        self._makers[output] = key = next(self._keys)
        self._nodes[key] = node
        self.changed = True
        return output

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Removes nodes, which are identified by their outputs."""
        for node in nodes:
            keys = {self._makers.pop(name) for name in node.output if name in self._makers}
            for key in keys & self._nodes.keys():
                del self._nodes[key]
        self.changed = True

    def replace_readers(self, value: str, by: str, only: Iterable[onnx.NodeProto] | None = None) -> None:
        """Makes all nodes that read `value`, or those in `only`, read `by`; outputs of the model are not changed."""
        among = None if only is None else {tuple(node.output) for node in only}
        for node in self._nodes.values():
            if value in node.input and (among is None or tuple(node.output) in among):
                node.input[:] = [by if name == value else name for name in node.input]
                self.changed = True

    def finish(self) -> Model:
        """Returns the changed model with facts about its values, or the given one if nothing was changed."""
        if not self.changed:
            return self.model
        proto = onnx.ModelProto()
        proto.CopyFrom(self.model.proto)
        graph = proto.graph
        del graph.node[:], graph.value_info[:], graph.initializer[:]
        graph.node.extend(sort_nodes(self.nodes, self.model.outputs))
        used = {name for node in graph.node for name in node.input} | set(self.model.outputs)
        graph.initializer.extend(t for t in self.model.proto.graph.initializer if t.name in used)
        graph.initializer.extend(
            onnx.numpy_helper.from_array(value, name) for name, value in self._initializers.items() if name in used)
        inputs = {value.name for value in self.model.inputs}
        for value in [value for value in graph.input if value.name not in used | inputs]:  # defaults of removed values
            graph.input.remove(value)
        return Model(proto)
