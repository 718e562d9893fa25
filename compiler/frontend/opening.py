"""Makes a fixed batch of a model open: in its inputs and outputs, and in constants that repeat its extent."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.attributes import attribute, drop_attributes
from arrayloom.compiler.frontend.kinds import FUNCTIONS
from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.runtime import Array, model_inputs
from arrayloom.compiler.frontend.tidy.edit import copied, unused, used_names
from arrayloom.compiler.frontend.tidy.ports import constant_names

BATCH = "N"


def open_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Returns the model with its fixed batch made symbolic.

    Constant shapes and sizes that begin with the batch take it from the data instead. Constants have no batch, and neither
    have values computed from constants.
    """
    opened = copied(model)
    opening = _Opening(model, opened.graph, batch)
    for node in opened.graph.node:
        rule = _RULES.get(node.op_type)
        if rule is not None and is_onnx(node):
            rule(opening, node)
    opening.finish()
    return opened


class _Opening:
    """The graph being changed, which is a copy of that of `model`; its nodes are sorted."""

    def __init__(self, model: onnx.ModelProto, graph: onnx.GraphProto, batch: int) -> None:
        self.batch = batch
        self.graph = graph
        self._model = model
        self._used = used_names(model.graph)
        self._first: list[onnx.NodeProto] = []
        self._constant = constant_names(model.graph)
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._tensors[node.output[0]] = node.attribute[0].t

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        """The shapes that ONNX infers, with the fixed batch."""
        try:
            graph = onnx.shape_inference.infer_shapes(self._model).graph
        except onnx.shape_inference.InferenceError as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"ONNX cannot infer the shapes of the model: {reason}; export it again") from error
        values = [*graph.input, *graph.output, *graph.value_info]
        found = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values
                 if value.type.tensor_type.HasField("shape")}
        return found | {name: list(tensor.dims) for name, tensor in self._tensors.items()}

    def follows_batch(self, value: str) -> bool:
        """Whether the first extent of a value is the batch: the value depends on an input, and no other extent is known."""
        if value in self._constant:
            return False
        shape = self._shapes.get(value)
        return not shape or shape[0] in (0, self.batch)

    def rank(self, value: str) -> int | None:
        """Returns the number of dimensions of a value, or None if it is unknown."""
        return len(self._shapes[value]) if value in self._shapes else None

    def is_constant(self, value: str) -> bool:
        """Whether a value does not depend on any input."""
        return value in self._constant

    def constant(self, node: onnx.NodeProto, index: int) -> Array | None:
        """Returns the stored constant at an input of `node`, or None."""
        if len(node.input) <= index or node.input[index] not in self._tensors:
            return None
        return onnx.numpy_helper.to_array(self._tensors[node.input[index]])

    def store(self, name: str, value: Array) -> str:
        """Adds an initializer under an unused name and returns that name."""
        stored = unused(name, self._used)
        self.graph.initializer.append(onnx.numpy_helper.from_array(value, stored))
        return stored

    def emit(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Adds a node before all others; it may read model inputs, initializers and nodes emitted earlier."""
        made = unused(name, self._used)
        self._first.append(onnx.helper.make_node(operator, inputs, [made], name=made, **attributes))
        return made

    @cached_property
    def extent(self) -> str:
        """The batch at run time, int64[1], taken from the shape of an input."""
        shape = self.emit("Shape", [model_inputs(self.graph)[0].name], "batch_shape")
        first = self.store("batch_place", np.array([0], np.int64))
        return self.emit("Gather", [shape, first], "batch_extent", axis=0)

    def finish(self) -> None:
        """Makes the batch of inputs and outputs symbolic, and puts the emitted nodes first."""
        graph = self.graph
        inputs = model_inputs(graph)
        outputs = [value for value in graph.output if value.type.tensor_type.shape.dim and not self.is_constant(value.name)]
        for value in [*inputs, *outputs]:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
        del graph.value_info[:]
        nodes = [*self._first, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)


def _reshape(opening: _Opening, node: onnx.NodeProto) -> None:
    """Replaces the batch at the front of a Reshape's target by 0, which takes the extent from the data."""
    target = opening.constant(node, 1)
    if target is None or target.size < 2 or target[0] != opening.batch or not opening.follows_batch(node.input[0]):
        return
    drop_attributes(node, "allowzero")  # PyTorch sets it; a zero would then be an extent of 0
    node.input[1] = opening.store(f"{node.output[0]}_shape", np.concatenate([[0], target[1:]]).astype(np.int64))


def _flatten(opening: _Opening, node: onnx.NodeProto) -> None:
    """Replaces axis 0 by axis 1, which gives the same result for a single image [1, ...]."""
    rank = opening.rank(node.input[0])
    axis = attribute(node, "axis", 1)
    if opening.batch != 1 or axis not in (0, -(rank or 0)) or axis == rank or not opening.follows_batch(node.input[0]):
        return
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("axis", 1))


def _resize(opening: _Opening, node: onnx.NodeProto) -> None:
    """Replaces the batch at the front of a Resize's sizes by the batch at run time."""
    sizes = opening.constant(node, 3)
    if sizes is None or not opening.follows_batch(node.input[0]):
        return
    if attribute(node, "axes") is None and sizes[0] == opening.batch:
        rest = opening.store(f"{node.output[0]}_sizes", sizes[1:].astype(np.int64))
        node.input[3] = opening.emit("Concat", [opening.extent, rest], f"{node.output[0]}_open_sizes", axis=0)


def _expand(opening: _Opening, node: onnx.NodeProto) -> None:
    """Replaces the batch at the front of an Expand's target by 1, which keeps the batch of the data."""
    shape = opening.constant(node, 1)
    same_rank = shape is not None and opening.rank(node.input[0]) == shape.size
    if shape is not None and same_rank and shape[0] == opening.batch and opening.follows_batch(node.input[0]):
        node.input[1] = opening.store(f"{node.output[0]}_shape", np.concatenate([[1], shape[1:]]).astype(np.int64))


def _slice(opening: _Opening, node: onnx.NodeProto) -> None:
    """Makes a Slice that takes the whole batch take a batch of any size."""
    ends, starts = opening.constant(node, 2), opening.constant(node, 1)
    axes = opening.constant(node, 3)
    if ends is None or starts is None or not opening.follows_batch(node.input[0]):
        return
    places = list(range(ends.size)) if axes is None else [int(axis) for axis in axes.reshape(-1)]
    if 0 in places and starts.reshape(-1)[places.index(0)] == 0 and ends.reshape(-1)[places.index(0)] == opening.batch:
        opened = ends.reshape(-1).astype(np.int64)
        opened[places.index(0)] = np.iinfo(np.int64).max
        node.input[2] = opening.store(f"{node.output[0]}_ends", opened)


def _function(opening: _Opening, node: onnx.NodeProto) -> None:
    """Reduces a constant operand that is equal for all images to one image."""
    rank = opening.rank(node.output[0])
    for place in range(len(node.input)):
        value = opening.constant(node, place)
        if value is None or opening.batch == 1 or value.ndim != rank or value.shape[:1] != (opening.batch,):
            continue
        if np.array_equal(value, np.broadcast_to(value[:1], value.shape)):
            node.input[place] = opening.store(f"{node.input[place]}_once", value[:1])


def _concat(opening: _Opening, node: onnx.NodeProto) -> None:
    """Replaces a constant operand that is equal for all images by one that is repeated for each image at run time."""
    if all(opening.is_constant(name) for name in node.input):
        return
    for place in range(len(node.input)):
        value = opening.constant(node, place)
        if value is None or value.ndim < 2 or value.shape[0] != opening.batch or attribute(node, "axis") in (0, -value.ndim):
            continue
        if np.array_equal(value, np.broadcast_to(value[:1], value.shape)):
            once = opening.store(f"{node.input[place]}_once", value[:1])
            rest = opening.store(f"{once}_extents", np.array(value.shape[1:], np.int64))
            shape = opening.emit("Concat", [opening.extent, rest], f"{once}_shape", axis=0)
            node.input[place] = opening.emit("Expand", [once, shape], f"{once}_repeated")


_RULES: dict[str, Callable[[_Opening, onnx.NodeProto], None]] = {
    **dict.fromkeys(FUNCTIONS, _function),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Resize": _resize,
    "Expand": _expand,
    "Slice": _slice,
    "Concat": _concat,
}
