"""The integer graph under construction: what the rules of the operators read from and write to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.movement import Indices, Movement, in_place, match
from arrayloom.compiler.frontend.origin import origin_name, origin_operator
from arrayloom.compiler.frontend.quantization import BYTES, Quantization, per_tensor
from arrayloom.compiler.frontend.report import ConsequenceError, RefusalError, Report, node_name
from arrayloom.compiler.graph import GraphInput, Move, Op, Tensor, View
from arrayloom.isa.instructions import BYTE_VALUES


@dataclass(frozen=True)
class Moved:
    """A value that holds the elements of an integer tensor in other places.

    Attributes:
        source: the tensor's name.
        index: in the value's ONNX shape (with a batch of 1) the flat index of the source, negative for `fill`.
        fill: the byte of padding, None where there is none.
        node: the last of the nodes that moved it.
        parent: the value that this node reads.
        own: like `index`, of the parent.
    """

    source: str
    index: Indices
    fill: int | None
    node: onnx.NodeProto
    parent: str
    own: Indices

    def through(self, index: Indices, padding: int | None, node: onnx.NodeProto, parent: str) -> "Moved":
        """The value after one more node, which takes the elements at `index`, or `padding` where that is negative."""
        there = index >= 0
        composed = np.where(there, self.index.ravel()[np.where(there, index, 0)], -1)
        fill = padding if self.fill is None else self.fill
        return Moved(self.source, composed, fill if (composed < 0).any() else None, node, parent, index)

    def moves(self, source: Tensor) -> bool:
        """Whether any element of the source changes its place or is left out."""
        return not np.array_equal(self.index.ravel(), np.arange(np.prod(source.shape)))



@dataclass(frozen=True)
class _Plan:
    """How to make a moved value: the tensor it is made from, the movement or None for a view, the result's [C, H, W]."""

    source: str
    movement: Movement | None
    shape: tuple[int, int, int]


class Builder:
    """Tensors and operations collected while the nodes of an integer model are visited in order."""

    def __init__(self, model: Model, report: Report) -> None:
        self.model = model
        self.report = report
        self.tensors: dict[str, Tensor] = {}
        self.pending: dict[str, Moved] = {}
        self.ops: list[Op] = []
        self.inputs: list[GraphInput] = []
        self.claimed: set[str] = set()  # values that an island, the head or the tail accounts for

    def tensor(self, name: str) -> Tensor:
        """An integer tensor that an earlier node produced."""
        if self.model.is_constant(name):
            raise RefusalError(f"its operand '{name}' is constant", "fold the constant into the network", f"'{name}'")
        if name in self.pending:
            self._make(name)
        if name not in self.tensors:
            raise ConsequenceError
        return self.tensors[name]

    def described(self, name: str) -> Tensor:
        """What a tensor is, without making one that is only moved so far."""
        if name not in self.pending:
            return self.tensor(name)
        shape = tuple(self.model.shapes[name][1:])
        made = self._plan(name).shape if self.can_make(name) else image_shape(shape)
        return Tensor(name, made, self.model.dtypes[name], shape)

    def moved(self, name: str, padding: int | None) -> Moved:
        """How a value is moved; from itself where it is padded already, by another byte than `padding`."""
        moved = self.pending.get(name)
        if moved is not None and (padding is None or moved.fill in (None, padding)):
            return moved
        x = self.tensor(name)
        index = in_place((1, *x.onnx_shape))
        return Moved(name, index, None, onnx.NodeProto(), name, index)

    def defer(self, name: str, moved: Moved) -> None:
        """Remember how a value is moved; it is made when an operation first asks for it."""
        self.pending[name] = moved

    def intermediate(self, node: onnx.NodeProto, name: str, moved: Moved) -> str:
        """Make a tensor that the model does not have: the operand `name` of `node`, spread to the node's result."""
        made = f"{name}, spread for {node_name(node)}"
        self.model.dtypes[made] = self.tensors[name].dtype
        self.model.shapes[made] = moved.index.shape
        self.pending[made] = moved
        return made

    def can_make(self, name: str) -> bool:
        """Whether the accelerator can make a moved value."""
        try:
            self._plan(name)
        except RefusalError:
            return False
        return True

    def _make(self, name: str) -> None:
        """Make a moved value, by one operation from the tensor it began as where one can do it."""
        moved = self.pending[name]
        try:
            plan = self._plan(name)
        except RefusalError as refusal:
            del self.pending[name]
            self.report.refuse(moved.node, refusal)
            raise ConsequenceError from refusal
        del self.pending[name]
        x = self.tensor(plan.source)
        if plan.movement is None:
            self.declare(name, x.shape)
            self.add(View, moved.node, name, x=x.name)
            return
        self.declare(name)
        table = np.arange(BYTE_VALUES).astype(np.uint8).view(x.dtype).reshape(1, BYTE_VALUES)
        self.add(Move, moved.node, name, x=x.name, **vars(plan.movement), table=table, fill=moved.fill or 0)

    def _plan(self, name: str) -> _Plan:
        """How to make a moved value; in two steps where its last node does not go together with those before it."""
        moved = self.pending[name]
        x = self.tensors[moved.source]
        if not moved.moves(x):
            return _Plan(x.name, None, x.shape)
        shape = image_shape(tuple(self.model.shapes[name][1:]))
        try:
            return _Plan(x.name, match(moved.index, x, shape), shape)
        except RefusalError:
            if moved.parent not in self.pending:
                raise
        before = self._plan(moved.parent)
        parent = Tensor(moved.parent, before.shape, x.dtype, tuple(self.model.shapes[moved.parent][1:]))
        if np.array_equal(moved.own.ravel(), np.arange(np.prod(parent.shape))):
            return _Plan(parent.name, None, parent.shape)
        return _Plan(parent.name, match(moved.own, parent, shape), shape)

    def image(self, name: str) -> Tensor:
        """A tensor whose ONNX shape is the [C, H, W] that its elements lie in; they are moved where they can be."""
        tensor = self.tensor(name)
        shape = image_shape(tensor.onnx_shape)
        if tensor.shape == shape:
            return tensor
        made = f"{name}, spread for {list(shape)}"
        if made not in self.tensors:
            self._lay_out(tensor, made, shape)
        return self.tensors[made]

    def planes(self, name: str) -> Tensor:
        """A tensor whose channels are those of its ONNX shape, with the positions of each in any arrangement."""
        tensor = self.tensor(name)
        return tensor if tensor.shape[0] == image_shape(tensor.onnx_shape)[0] else self.image(name)

    def _lay_out(self, tensor: Tensor, made: str, shape: tuple[int, int, int]) -> None:
        """Make the tensor `made`, which the model does not have: the elements of `tensor` in another [C, H, W]."""
        try:
            movement = match(in_place(shape), tensor, shape)
        except RefusalError as refusal:
            raise RefusalError(
                f"its input '{tensor.name}' of shape {list(tensor.onnx_shape)} is a reshaped {list(tensor.shape)}",
                "only a matrix product, a function of one element or another reshape may follow a reshape",
            ) from refusal
        self.tensors[made] = Tensor(made, shape, tensor.dtype, tensor.onnx_shape)
        self.model.dtypes[made], self.model.shapes[made] = tensor.dtype, (1, *tensor.onnx_shape)
        table = np.arange(BYTE_VALUES).astype(np.uint8).view(tensor.dtype).reshape(1, BYTE_VALUES)
        node = self.model.producers[tensor.name]
        self.add(Move, node, made, x=tensor.name, **vars(movement), table=table, fill=0)

    def declare(self, name: str, shape: tuple[int, int, int] | None = None) -> Tensor:
        """Declare the tensor of a value; its [C, H, W] follows from the ONNX shape unless given."""
        dtype, onnx_shape = self.model.dtypes[name], tuple(self.model.shapes[name][1:])
        if dtype not in BYTES:
            raise RefusalError(f"its result '{name}' has dtype {dtype}", "quantize it to uint8 or int8")
        tensor = Tensor(name, shape or image_shape(onnx_shape), dtype, onnx_shape)
        self.tensors[name] = tensor
        return tensor

    def stand_in(self, name: str) -> None:
        """Declare what a refused node would have made, so that the nodes after it are examined too."""
        self.pending.pop(name, None)
        self.tensors.pop(name, None)
        if name and self.model.dtypes[name] in BYTES:
            self.declare(name)

    def add(self, kind: type[Op], node: onnx.NodeProto, output: str | None = None, **attributes: Any) -> None:
        """Append the operation that computes one declared output of `node`, the first unless named."""
        origin = {"user_node": origin_name(node), "user_operator": origin_operator(node)}
        self.ops.append(kind(name=node_name(node), op_type=node.op_type, output=output or node.output[0], **origin,
                             **attributes))

    def quantization(self, node: onnx.NodeProto, scale: int, value: str) -> Quantization:
        """Per-tensor scale and zero point at inputs `scale` and `scale` + 1 of `node`, which belong to `value`."""
        zero_point = node.input[scale + 1] if len(node.input) > scale + 1 else ""
        return per_tensor(self.model, node.input[scale], zero_point, self.model.dtypes[value])


def image_shape(onnx_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The [C, H, W] of an ONNX shape without batch: [F] is [F, 1, 1], [C, L] is [C, 1, L]; longer ones merge into C."""
    if len(onnx_shape) < 2:
        return (onnx_shape or (1,))[0], 1, 1
    if len(onnx_shape) == 2:
        return onnx_shape[0], 1, onnx_shape[1]
    return int(np.prod(onnx_shape[:-2])), onnx_shape[-2], onnx_shape[-1]
