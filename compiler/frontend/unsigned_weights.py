"""Makes products in ONNX Runtime exact on every CPU: int8 weights of uint8 activations become uint8 ones.

Adding 128 to a weight and its zero point changes no product. On CPUs with AVX2 and without VNNI, ONNX Runtime adds pairs of
uint8 by int8 products in 16 bits, which saturate; its kernels for uint8 by uint8 add in 32 bits. Its own option for this
(``session.x64quantprecision``) does not cover QLinearMatMul, and fails on some models.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from arrayloom.compiler.frontend.reads import reads

#: Operator -> indices of the inputs with its weight, the weight's zero point and the activation's zero point.
_PLACES = {"QLinearConv": (3, 5, 2), "QLinearMatMul": (3, 5, 2), "QGemm": (3, 5, 2)}
FIRST_WITH_CONSTANTS = 4
"""First IR version of ONNX in which an initializer need not be an input too."""
_SUFFIX = "/unsigned"


def with_unsigned_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of the model with such weights converted, or the model itself if it has none."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = [(index, place) for index, node in enumerate(model.graph.node)
             if (place := _PLACES.get(node.op_type)) and _is_mixed(node, place, constants)]
    if not found:
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.ir_version = max(model.ir_version, FIRST_WITH_CONSTANTS)
    raised: dict[str, str] = {}
    for index, (weight, zero_point, _) in found:
        node = result.graph.node[index]
        for position in (weight, zero_point):
            name = node.input[position]
            if name not in raised:
                raised[name] = name + _SUFFIX
                values = numpy_helper.to_array(constants[name]).view(np.uint8) ^ np.uint8(128)     # the value plus 128
                result.graph.initializer.append(numpy_helper.from_array(values, raised[name]))
            node.input[position] = raised[name]
    _drop_unread(result.graph, set(raised))
    return result


def _drop_unread(graph: onnx.GraphProto, names: set[str]) -> None:
    """Removes those of the named constants that are no longer read; the defaults of inputs stay."""
    unread = names.difference((name for node in graph.node for name in reads(node)),
                              (value.name for value in (*graph.input, *graph.output)))
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name in unread:
            del graph.initializer[place]


def _is_mixed(node: onnx.NodeProto, places: tuple[int, int, int], constants: dict[str, onnx.TensorProto]) -> bool:
    if max(places) >= len(node.input) or any(node.input[place] not in constants for place in places):
        return False
    weight, zero_point, activation = (constants[node.input[place]] for place in places)
    if (weight.data_type, zero_point.data_type, activation.data_type) != (
            onnx.TensorProto.INT8, onnx.TensorProto.INT8, onnx.TensorProto.UINT8):
        return False
    # ONNX Runtime's kernels for uint8 weights have one zero point for all channels.
    return len(np.unique(numpy_helper.to_array(zero_point))) == 1
