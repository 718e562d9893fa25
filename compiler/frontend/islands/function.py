"""The function of an island, tabulated by ONNX Runtime."""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.islands.region import Region
from arrayloom.compiler.frontend.kinds import MOVEMENTS
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array, Session, small_model
from arrayloom.compiler.frontend.tabulate import constants_of, tabulate
from arrayloom.compiler.graph import Tensor


class Function:
    """The effect of an island on one element, without movement."""

    def __init__(self, model: Model, region: Region, x: Tensor) -> None:
        self._model = model
        self._region = region
        self._x = x
        self._result = region.quantizer.output[0]

    def table(self, channels: int) -> Array:
        """Returns the result for every byte: [1, 256], or [channels, 256] if the channels differ."""
        return tabulate(self._model, [_still(node) for node in self._region.nodes], self._x, channels)

    def fill(self, pad: onnx.NodeProto) -> int:
        """Returns the result for the constant that a Pad of the island inserts, computed by the nodes after that Pad."""
        value = self._model.constant(pad, 2)
        constant = np.zeros((), np.float32) if value is None else value.reshape(())
        nodes = self._after(pad)
        rank = len(self._model.shapes[pad.output[0]])
        given = {pad.output[0]: np.full([1, _channels(self._model, nodes), *[1] * (rank - 2)][:rank], constant)}
        inputs = {name: (array.dtype, array.shape) for name, array in given.items()}
        part = small_model(self._model.proto, nodes, inputs, constants_of(self._model, nodes), [self._result])
        values = np.unique(Session(part).run(given)[self._result])
        if values.size > 1:
            raise RefusalError(
                "padding becomes a different value in each channel", "put QuantizeLinear and DequantizeLinear before padding"
            )
        return int(values[0])

    def _after(self, pad: onnx.NodeProto) -> list[onnx.NodeProto]:
        known = {pad.output[0]}
        nodes = []
        for node in self._region.nodes[self._region.nodes.index(pad) + 1 :]:
            operands = [name for name in node.input if name and not self._model.is_constant(name)]
            if not known.intersection(operands):
                continue
            if not known.issuperset(operands):
                raise RefusalError("padding is combined with values computed before it", "quantize before padding")
            nodes.append(_still(node))
            known.update(node.output)
        return nodes


def _channels(model: Model, nodes: Sequence[onnx.NodeProto]) -> int:
    """Returns how many channels the nodes need, as BatchNormalization does not broadcast a single one."""
    normalizations = [node for node in nodes if node.op_type == "BatchNormalization"]
    return max((model.constants[node.input[1]].size for node in normalizations), default=1)


def _still(node: onnx.NodeProto) -> onnx.NodeProto:
    """Returns the node itself, or an Identity in place of a movement."""
    if node.op_type not in MOVEMENTS:
        return node
    return onnx.helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
