"""The QDQ form of a QOperator network: every integer operator in float, between DequantizeLinear and QuantizeLinear.

Integer values keep their names, so the lowered form can be compared with the original network.
"""

from collections import Counter

import numpy as np
import onnx
from networks import MICROSOFT, Array, Network

Parameters = tuple[Array, Array]

_MOVES = ("MaxPool", "Slice", "Pad", "Gather", "Flatten", "Reshape", "Transpose", "Resize", "DepthToSpace",
          "SpaceToDepth")
_COMPUTING = ("QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearAveragePool")
_BINARY = ("QLinearAdd", "QLinearMul")
_SOURCE_SCALE = np.float32(0.05)


def to_qdq(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with Conv, Gemm, MatMul, Add, Concat, pooling, Clip and movement in float.

    A Clip that is the only reader of an operator's result is placed before the QuantizeLinear. Tables and islands stay.
    """
    return _Converter(model).convert()


class _Converter(Network):
    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.source = model
        self.initializers = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self.parameters: dict[str, Parameters] = {}
        readers = Counter(name for node in model.graph.node for name in set(node.input))
        outputs = {output.name for output in model.graph.output}
        computed = {node.output[0] for node in model.graph.node
                    if node.op_type in _COMPUTING and not self._has_constant(node)}
        self.joined = {
            node.input[0]: node
            for node in model.graph.node
            if node.op_type == "Clip" and readers[node.input[0]] == 1 and node.input[0] in computed - outputs
        }

    def _has_constant(self, node: onnx.NodeProto) -> bool:
        """Whether an operand of a sum or product is constant: such a node stays unchanged."""
        return node.op_type in _BINARY and any(name in self.initializers for name in (node.input[0], node.input[3]))

    def name(self, stem: str) -> str:
        return f"qdq_{super().name(stem)}"

    def convert(self) -> onnx.ModelProto:
        for value in self.source.graph.input:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            if dtype != np.float32:
                self.parameters[value.name] = np.array(_SOURCE_SCALE), np.array(3, dtype)
        for node in self.source.graph.node:
            self._convert_node(node)
        converted = onnx.ModelProto()
        converted.CopyFrom(self.source)
        del converted.graph.node[:], converted.graph.initializer[:]
        converted.graph.node.extend(self.nodes)
        converted.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in self.initializers.items())
        return converted

    def _convert_node(self, node: onnx.NodeProto) -> None:
        rule = _RULES.get(node.op_type)
        if node.op_type == "Clip" and node.input[0] in self.joined:
            return
        if rule is not None and self._is_integer(node):
            rule(self, node)
            return
        self.nodes.append(node)
        if node.op_type in ("QuantizeLinear", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax"):
            self.parameters[node.output[0]] = self._pair(node, -2)
        elif node.op_type != "DequantizeLinear" and self._is_integer(node):
            self.parameters.update(dict.fromkeys(node.output, self.parameters[node.input[0]]))

    def _is_integer(self, node: onnx.NodeProto) -> bool:
        return node.domain == MICROSOFT or node.op_type.startswith("QLinear") or node.input[0] in self.parameters

    def _pair(self, node: onnx.NodeProto, index: int) -> Parameters:
        return self.initializers[node.input[index]], self.initializers[node.input[index + 1]]

    def real(self, value: str, parameters: Parameters, **attributes: int) -> str:
        """DequantizeLinear of a value."""
        names = [self.constant(parameter) for parameter in parameters]
        return self.node("DequantizeLinear", [value, *names], **attributes)

    def finish(self, real: str, output: str, parameters: Parameters) -> None:
        """QuantizeLinear to ``output``, after the Clip that joins it, if any."""
        clip = self.joined.get(output)
        if clip is not None:
            bounds = [self._bound(name, parameters) if name else "" for name in clip.input[1:]]
            real, output = self.node("Clip", [real, *bounds]), clip.output[0]
        self.parameters[output] = parameters
        self.node("QuantizeLinear", [real, *(self.constant(parameter) for parameter in parameters)], output)

    def real_zero(self, parameters: Parameters) -> str:
        """The value that padding with the default byte 0 stands for."""
        scale, zero_point = parameters
        return self.constant(np.float32(-np.float32(zero_point) * scale))

    def _bound(self, name: str, parameters: Parameters) -> str:
        scale, zero_point = parameters
        return self.constant(np.float32(np.float32(int(self.initializers[name]) - int(zero_point)) * scale))


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {given.name: onnx.helper.get_attribute_value(given) for given in node.attribute}


def _product(c: _Converter, node: onnx.NodeProto, operator: str, axis: int, places: tuple[int, int]) -> None:
    """A matrix operator; ``places`` are the positions of the bias (-1 for none) and of the result's scale."""
    x_pair, w_pair, y_pair = c._pair(node, 1), c._pair(node, 4), c._pair(node, places[1])
    attributes = _attributes(node)
    inputs = [c.real(node.input[0], x_pair), c.real(node.input[3], w_pair, axis=axis)]
    bias = places[0]
    if 0 <= bias < len(node.input) and node.input[bias]:
        scale = np.float32(attributes.get("alpha", 1.0)) * x_pair[0] * w_pair[0]
        zeros = np.zeros(scale.shape, np.int32)
        inputs.append(c.real(node.input[bias], (np.asarray(scale, np.float32), zeros), axis=0))
    c.finish(c.node(operator, inputs, **attributes), node.output[0], y_pair)


def _conv(c: _Converter, node: onnx.NodeProto) -> None:
    _product(c, node, "Conv", 0, (8, 6))


def _matmul(c: _Converter, node: onnx.NodeProto) -> None:
    _product(c, node, "MatMul", 1, (-1, 6))


def _gemm(c: _Converter, node: onnx.NodeProto) -> None:
    transposed = onnx.helper.get_node_attr_value(node, "transB")
    _product(c, node, "Gemm", 1 - transposed, (6, 7))


def _binary(c: _Converter, node: onnx.NodeProto) -> None:
    """Add or Mul; with a constant it stays, since in float it would become a table of float roundings."""
    if c._has_constant(node):
        c.nodes.append(node)
        c.parameters[node.output[0]] = c._pair(node, 6)
        return
    inputs = [c.real(node.input[0], c._pair(node, 1)), c.real(node.input[3], c._pair(node, 4))]
    c.finish(c.node(node.op_type.removeprefix("QLinear"), inputs), node.output[0], c._pair(node, 6))


def _concat(c: _Converter, node: onnx.NodeProto) -> None:
    places = range(2, len(node.input), 3)
    inputs = [c.real(node.input[place], c._pair(node, place + 1)) for place in places]
    c.finish(c.node("Concat", inputs, **_attributes(node)), node.output[0], c._pair(node, 0))


def _average_pool(c: _Converter, node: onnx.NodeProto) -> None:
    real = c.real(node.input[0], c._pair(node, 1))
    c.finish(c.node("AveragePool", [real], **_attributes(node)), node.output[0], c._pair(node, 3))


def _global_average_pool(c: _Converter, node: onnx.NodeProto) -> None:
    real = c.real(node.input[0], c._pair(node, 1))
    c.finish(c.node("GlobalAveragePool", [real]), node.output[0], c._pair(node, 3))


def _clip(c: _Converter, node: onnx.NodeProto) -> None:
    parameters = c.parameters[node.input[0]]
    bounds = [c._bound(name, parameters) if name else "" for name in node.input[1:]]
    real = c.real(node.input[0], parameters)
    c.finish(c.node("Clip", [real, *bounds]), node.output[0], parameters)


def _move(c: _Converter, node: onnx.NodeProto) -> None:
    parameters = c.parameters[node.input[0]]
    rest = list(node.input[1:])
    if node.op_type == "Pad" and _attributes(node).get("mode", b"constant") == b"constant":
        rest[1:2] = [c._bound(rest[1], parameters) if rest[1:] and rest[1] else c.real_zero(parameters)]
    real = c.real(node.input[0], parameters)
    c.finish(c.node(node.op_type, [real, *rest], **_attributes(node)), node.output[0], parameters)


_RULES = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _binary,
    "QLinearMul": _binary,
    "QLinearConcat": _concat,
    "QLinearAveragePool": _average_pool,
    "QLinearGlobalAveragePool": _global_average_pool,
    "Clip": _clip,
    **dict.fromkeys(_MOVES, _move),
}
