"""The integer graph under construction, which the rules of the operators read and extend."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.moved import Moved, Part, Plan, image_shape
from arrayloom.compiler.frontend.movement import Movement, in_place, match
from arrayloom.compiler.frontend.origin import origin_name, origin_operator
from arrayloom.compiler.frontend.quantization import BYTES, Quantization, per_tensor
from arrayloom.compiler.frontend.report import ConsequenceError, RefusalError, Report, node_name
from arrayloom.compiler.frontend.union import Group, find_union, in_order
from arrayloom.compiler.graph import Add, Concat, GraphInput, Move, MovePixels, Op, Tensor, View
from arrayloom.isa.instructions import BYTE_VALUES


class Builder:
    """Tensors and operations, collected while the nodes of an integer model are visited in order."""

    def __init__(self, model: Model, report: Report) -> None:
        self.model = model
        self.report = report
        self.tensors: dict[str, Tensor] = {}
        self.pending: dict[str, Moved] = {}
        self.ops: list[Op] = []
        self.inputs: list[GraphInput] = []
        self.claimed: set[str] = set()  # values that are imported as part of an island, the head or the tail

    def tensor(self, name: str) -> Tensor:
        """Returns an integer tensor that an earlier node computed."""
        if self.model.is_constant(name):
            raise RefusalError(f"its operand '{name}' is constant", "fold the constant into the network", f"'{name}'")
        if name in self.pending:
            self._make(name)
        if name not in self.tensors:
            raise ConsequenceError
        return self.tensors[name]

    def described(self, name: str) -> Tensor:
        """Returns the properties of a tensor without computing it if it is only moved so far."""
        if name not in self.pending:
            return self.tensor(name)
        shape = tuple(self.model.shapes[name][1:])
        made = self._plans(name)[-1][1].shape if self.can_make(name) else image_shape(shape)
        return Tensor(name, made, self.model.dtypes[name], shape)

    def moved(self, name: str, padding: int | None) -> Moved:
        """Returns how a value is moved; the movement begins at the value itself if its padding byte is not `padding`."""
        moved = self.pending.get(name)
        if moved is not None and (padding is None or moved.fill in (None, padding)):
            return moved
        x = self.tensor(name)
        index = in_place((1, *x.onnx_shape))
        return Moved(name, index, None, onnx.NodeProto(), name, index)

    def defer(self, name: str, moved: Moved) -> None:
        """Records how a value is moved; it is computed when an operation first needs it."""
        self.pending[name] = moved

    def intermediate(self, node: onnx.NodeProto, name: str, moved: Moved) -> str:
        """Adds a tensor that the model does not have: the operand `name` of `node`, broadcast to the node's result."""
        made = f"{name}, spread for {node_name(node)}"
        self.model.dtypes[made] = self.tensors[name].dtype
        self.model.shapes[made] = moved.index.shape
        self.pending[made] = moved
        return made

    def inner(self, name: str, like: Tensor, dtype: np.dtype) -> Tensor:
        """Declares a tensor that the model does not have, with the shapes of another one."""
        tensor = Tensor(name, like.shape, dtype, like.onnx_shape)
        self.tensors[name] = tensor
        self.model.dtypes[name], self.model.shapes[name] = dtype, (1, *like.onnx_shape)
        return tensor

    def can_make(self, name: str) -> bool:
        """Whether the accelerator can compute a moved value."""
        try:
            self._plans(name)
        except RefusalError:
            return False
        return True

    def _make(self, name: str) -> None:
        """Adds the operations that compute a moved value: a single one from its source if possible."""
        try:
            plans = self._plans(name)
        except RefusalError:
            self._move_as_union(name, self.pending.pop(name))
            return
        for made, plan in plans:
            self._make_by(made, plan)

    def _make_by(self, name: str, plan: Plan) -> None:
        moved, x = self.pending.pop(name), self.tensor(plan.source)
        if plan.movement is None:
            self.declare(name, x.shape)
            self.add(View, moved.node, name, x=x.name)
            return
        self.declare(name)
        self._add_movement(moved.node, name, Part(x, plan.movement), moved.fill or 0)

    def _move_as_union(self, name: str, moved: Moved) -> None:
        """Adds the operations that compute a moved value in several steps, if no single one can."""
        x = self.tensors[moved.source]
        try:
            groups = find_union(moved.index, x, image_shape(tuple(self.model.shapes[name][1:])))
        except RefusalError as refusal:
            self.report.refuse(moved.node, refusal)
            raise ConsequenceError from refusal
        self.declare(name)
        self._add_union(moved, name, x, groups)

    def _add_movement(self, node: onnx.NodeProto, output: str, part: Part, fill: int) -> None:
        table = self._same(part.x) if part.table is None else part.table
        kind = Move if isinstance(part.movement, Movement) else MovePixels
        self.add(kind, node, output, x=part.x.name, **vars(part.movement), table=table, fill=fill)

    def _same(self, x: Tensor, rows: int = 1) -> NDArray[Any]:
        """Returns `rows` lookup tables that leave each byte unchanged."""
        row = np.arange(BYTE_VALUES).astype(np.uint8).view(x.dtype)
        return np.ascontiguousarray(np.broadcast_to(row, (rows, BYTE_VALUES)))

    def _add_union(self, moved: Moved, output: str, x: Tensor, groups: Sequence[Group]) -> None:
        """Concatenates the groups, each of which is the sum of its parts, and restores the order of their channels."""
        order = in_order(groups)
        stacked = output if order is None else self._step_to(output, len(order))
        names = [stacked] if len(groups) == 1 else [self._step_to(output, len(group.channels)) for group in groups]
        for name, group in zip(names, groups, strict=True):
            self.add_sum(moved.node, name, [Part(x, movement) for movement in group.parts], moved.fill or 0)
        if len(groups) > 1:
            self.add(Concat, moved.node, stacked, xs=tuple(names), tables=self._same(x, len(names)))
        if order is not None:
            _, height, width = self.tensors[output].shape
            movement = Movement(order, np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32))
            self._add_movement(moved.node, output, Part(self.tensors[stacked], movement), 0)

    def add_sum(self, node: onnx.NodeProto, output: str, parts: Sequence[Part], fill: int) -> None:
        """Adds up parts that hold `fill` outside their own elements; it is subtracted from the sum for all but one."""
        channels, one, total = self.tensors[output].shape[0], np.float32(1), ""
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            own = output if last and not total else self._step_to(output, channels)
            self._add_movement(node, own, part, fill)
            if not total:
                total = own
                continue
            joined = output if last else self._step_to(output, channels)
            self.add(Add, node, joined, a=own, b=total, a_ratio=one, b_ratio=one, offset=np.float32(-fill))
            total = joined

    def _step_to(self, name: str, channels: int) -> str:
        """Declares an intermediate tensor on the way to `name`, which the model does not have, with `channels` channels."""
        number = 1
        while (made := f"{name}, spread for step {number}") in self.tensors:
            number += 1
        of = self.tensors[name]
        shape = channels, *of.shape[1:]
        self.tensors[made] = Tensor(made, shape, of.dtype, shape)
        return made

    def _plans(self, name: str) -> list[tuple[str, Plan]]:
        """Returns the plans that compute a moved value, in order.

        If the movement of its last node cannot be merged with those before, the plans first compute the values before it.
        """
        behind: list[str] = []
        while True:
            try:
                plans = [(name, self._direct_plan(name))]
                break
            except RefusalError:
                if self.pending[name].parent not in self.pending:
                    raise
            behind.append(name)
            name = self.pending[name].parent
        for after in reversed(behind):
            plans.append((after, self._plan_from(plans[-1][1], after)))
        return plans

    def _direct_plan(self, name: str) -> Plan:
        """Returns the plan that computes a moved value directly from its source."""
        moved = self.pending[name]
        x = self.tensors[moved.source]
        if not moved.moves(x):
            return Plan(x.name, None, x.shape)
        shape = image_shape(tuple(self.model.shapes[name][1:]))
        return Plan(x.name, match(moved.index, x, shape), shape)

    def _plan_from(self, before: Plan, name: str) -> Plan:
        """Returns the plan that computes a moved value from the operand of its last node, the result of plan `before`."""
        moved, shape = self.pending[name], image_shape(tuple(self.model.shapes[name][1:]))
        dtype = self.tensors[moved.source].dtype
        parent = Tensor(moved.parent, before.shape, dtype, tuple(self.model.shapes[moved.parent][1:]))
        if np.array_equal(moved.own.ravel(), np.arange(np.prod(parent.shape))):
            return Plan(parent.name, None, parent.shape)
        return Plan(parent.name, match(moved.own, parent, shape), shape)

    def image(self, name: str) -> Tensor:
        """Returns a tensor with the [C, H, W] of its ONNX shape; it is moved if it has another one."""
        tensor = self.tensor(name)
        shape = image_shape(tensor.onnx_shape)
        if tensor.shape == shape:
            return tensor
        made = f"{name}, spread for {list(shape)}"
        if made not in self.tensors:
            self._lay_out(tensor, made, shape)
        return self.tensors[made]

    def planes(self, name: str) -> Tensor:
        """Returns a tensor whose channels are those of its ONNX shape, with the positions of each in any arrangement."""
        tensor = self.tensor(name)
        return tensor if tensor.shape[0] == image_shape(tensor.onnx_shape)[0] else self.image(name)

    def _lay_out(self, x: Tensor, made: str, shape: tuple[int, int, int]) -> None:
        """Adds the tensor `made`, which the model does not have: the elements of `x` in another [C, H, W]."""
        index = in_place((1, *x.onnx_shape))
        moved = Moved(x.name, index, None, self.model.producers[x.name], x.name, index)
        try:
            groups = find_union(index, x, shape)
        except RefusalError as refusal:
            raise RefusalError(
                f"its input '{x.name}' of shape {list(x.onnx_shape)} is a reshaped {list(x.shape)}: {refusal.reason}",
                "only a matrix product, an element-wise function or another reshape may follow such a reshape",
            ) from refusal
        self.tensors[made] = Tensor(made, shape, x.dtype, x.onnx_shape)
        self.model.dtypes[made], self.model.shapes[made] = x.dtype, (1, *x.onnx_shape)
        self._add_union(moved, made, x, groups)

    def declare(self, name: str, shape: tuple[int, int, int] | None = None) -> Tensor:
        """Declares the tensor of a value; its [C, H, W] follows from the ONNX shape unless given."""
        dtype, onnx_shape = self.model.dtypes[name], tuple(self.model.shapes[name][1:])
        if dtype not in BYTES:
            raise RefusalError(f"its result '{name}' has dtype {dtype}", "quantize it to uint8 or int8")
        tensor = Tensor(name, shape or image_shape(onnx_shape), dtype, onnx_shape)
        self.tensors[name] = tensor
        return tensor

    def stand_in(self, name: str) -> None:
        """Declares the result of a refused node, so that the nodes after it are examined too."""
        self.pending.pop(name, None)
        self.tensors.pop(name, None)
        if name and self.model.dtypes[name] in BYTES:
            self.declare(name)

    def add(self, kind: type[Op], node: onnx.NodeProto, output: str | None = None, **attributes: Any) -> None:
        """Appends the operation that computes a declared output of `node`: `output`, or the first one."""
        origin = {"user_node": origin_name(node), "user_operator": origin_operator(node)}
        self.ops.append(kind(name=node_name(node), op_type=node.op_type, output=output or node.output[0], **origin,
                             **attributes))

    def quantization(self, node: onnx.NodeProto, scale: int, value: str) -> Quantization:
        """Returns the per-tensor quantization at inputs `scale` and `scale` + 1 of `node`, which belongs to `value`."""
        zero_point = node.input[scale + 1] if len(node.input) > scale + 1 else ""
        return per_tensor(self.model, node.input[scale], zero_point, self.model.dtypes[value])
