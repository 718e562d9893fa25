"""The function of an island, tabulated by ONNX Runtime."""

import numpy as np
import onnx

from compiler.frontend.islands.region import Region
from compiler.frontend.kinds import MOVEMENTS
from compiler.frontend.model import Model
from compiler.frontend.operators.elementwise import all_bytes
from compiler.frontend.report import RefusalError
from compiler.frontend.runtime import Array, Session, small_model
from compiler.graph import Tensor


class Function:
    """What an island does to one element, movement left out.

    The nodes run under ONNX Runtime's default optimizations and, where the tensor has positions, with positions, so
    that what the reference fuses is fused here too.
    """

    def __init__(self, model: Model, region: Region, x: Tensor) -> None:
        self._model = model
        self._region = region
        self._x = x
        self._result = region.quantizer.output[0]

    def table(self, channels: int) -> Array:
        """The result for every byte, [1, 256], or [channels, 256] where the channels differ."""
        shape, positions = self._shape(channels)
        nodes = [_still(node) for node in self._region.nodes]
        part = small_model(
            self._model.proto, nodes, {self._x.name: (self._x.dtype, shape)}, self._constants(nodes), [self._result]
        )
        given = all_bytes(self._x.dtype)
        if positions:
            given = np.broadcast_to(given, (channels, 256)).reshape(shape)
        else:
            given = np.broadcast_to(given[:, np.newaxis], (256, channels)).reshape(shape)
        values = Session(part).run({self._x.name: np.ascontiguousarray(given)})[self._result]
        rows = values.reshape(channels, 256) if positions else values.reshape(256, channels).T
        return np.ascontiguousarray(rows[:1] if np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)) else rows)

    def _shape(self, channels: int) -> tuple[list[int], bool]:
        """A shape of the source's rank for all bytes: along the positions where it has any, else along the batch."""
        behind = self._x.onnx_shape[1:]
        if behind and int(np.prod(behind)) > 1:
            return [1, channels, *[1] * (len(behind) - 1), 256], True
        return [256, channels, *[1] * len(behind)], False

    def fill(self, pad: onnx.NodeProto) -> int:
        """The result for the constant that a Pad of the island adds, through the nodes behind that Pad."""
        value = self._model.constant(pad, 2)
        constant = np.zeros((), np.float32) if value is None else value.reshape(())
        nodes = self._behind(pad)
        rank = len(self._model.shapes[pad.output[0]])
        given = {pad.output[0]: constant.reshape([1] * rank)}
        inputs = {name: (array.dtype, array.shape) for name, array in given.items()}
        part = small_model(self._model.proto, nodes, inputs, self._constants(nodes), [self._result])
        values = np.unique(Session(part).run(given)[self._result])
        if values.size > 1:
            raise RefusalError(
                "padding becomes another value in each channel", "put QuantizeLinear and DequantizeLinear before padding"
            )
        return int(values[0])

    def _behind(self, pad: onnx.NodeProto) -> list[onnx.NodeProto]:
        known = {pad.output[0]}
        nodes = []
        for node in self._region.nodes[self._region.nodes.index(pad) + 1 :]:
            operands = [name for name in node.input if name and not self._model.is_constant(name)]
            if not known.intersection(operands):
                continue
            if not known.issuperset(operands):
                raise RefusalError("padding joins what was computed before it", "quantize before padding")
            nodes.append(_still(node))
            known.update(node.output)
        return nodes

    def _constants(self, nodes: list[onnx.NodeProto]) -> dict[str, Array]:
        names = {name for node in nodes for name in node.input if name and self._model.is_constant(name)}
        return {name: self._model.constants[name] for name in sorted(names)}


def _still(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node itself, or an Identity in place of a movement."""
    if node.op_type not in MOVEMENTS:
        return node
    return onnx.helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
