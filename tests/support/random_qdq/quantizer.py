"""A float network in QDQ form, in some producer's style, with scales from the ranges of its values."""

import numpy as np
import onnx
from networks import Array

from arrayloom.compiler.frontend.kinds import FUNCTIONS

from .float_network import FloatNetwork
from .style import Parameters, Style, fitted

MOVEMENT = ("Reshape", "Transpose", "Slice", "Split", "Flatten", "Squeeze", "MaxPool", "DepthToSpace", "SpaceToDepth", "Pad")
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: Operators whose constant operand is a number that quantizers quantize like an activation.
ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Concat")


def is_movement(node: onnx.NodeProto) -> bool:
    """Whether the node gives elements of its operand, or padding."""
    modes = [given.s for given in node.attribute if given.name == "mode"]
    return node.op_type in MOVEMENT or (node.op_type == "Resize" and modes == [b"nearest"])


class Quantizer:
    """The QDQ form under construction.

    Attributes
    ----------
    nodes
        Its nodes.
    constants
        Its initializers.
    plan
        Parameters of the activations that are followed by QuantizeLinear and DequantizeLinear.
    """

    def __init__(self, net: FloatNetwork, style: Style, integer_inputs: dict[str, Parameters]) -> None:
        self.net, self.style = net, style
        self.integer_inputs = integer_inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.plan: dict[str, Parameters] = {}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in net.nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._made: dict[str, str] = {}
        self._count = 0

    def run(self) -> dict[str, str]:
        """Writes the whole network; returns the outputs' names in the QDQ form by their names in the float network."""
        for name in self.net.inputs:
            self._plan_value(name, None)
        for node in self.net.nodes:
            for name in node.output:
                self._plan_value(name, node)
        for node in self.net.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [self._operand(node, name) for name in node.input]
            self.nodes.append(copy)
        return {name: self.integer_or_real(name) for name in self.net.outputs}

    def integer_or_real(self, name: str) -> str:
        """An output: the DQ after it, now and then the integers, or the float value where it has no Q."""
        if name not in self.plan or name in self.net.inputs:
            return name
        real = self._read(name)
        return f"{name}_integer" if self.net.chance(0.2) else real

    def _plan_value(self, name: str, node: onnx.NodeProto | None) -> None:
        value = self.net.values[name]
        if name in self.integer_inputs:
            self.plan[name] = self.integer_inputs[name]
            return
        readers = self._readers.get(name, [])
        product = any(reader.op_type in PRODUCTS and reader.input[0] == name for reader in readers)
        if value.dtype != np.float32 or not self._wanted(name, node, product):
            return
        if node is not None and is_movement(node) and self.style.movement == "same" and node.input[0] in self.plan \
                and not self.plan[node.input[0]].scale.ndim:
            self.plan[name] = self.plan[node.input[0]]
        elif self._takes_scales_per_channel(node) and readers and all(map(self._is_depthwise, readers)):
            self.plan[name] = self._fitted(value, axes=(0, *range(2, value.ndim)), symmetric=True)
        else:
            self.plan[name] = self._equal(self._fitted(value, axes=None), value)

    def _wanted(self, name: str, node: onnx.NodeProto | None, product: bool) -> bool:
        readers = self._readers.get(name, [])
        in_tail = node is not None and node.name.startswith("tail_")
        if in_tail or (readers and all(reader.name.startswith("head_") for reader in readers)):
            return False
        if self._only_moved(name):
            return self.net.chance(0.5)
        if node is not None and self._only_moved(node.input[0]) and node.input[0] not in self.plan:
            return True
        if self.style.only_products:
            return product or name in self.net.inputs
        if node is not None and is_movement(node) and self.style.movement == "none":
            return name in self.net.outputs and node.input[0] not in self.plan
        loose = self.net.loose | (self.net.rounded if self.style.insert_roundings else set())
        return name not in loose or name in self.net.outputs

    def _takes_scales_per_channel(self, node: onnx.NodeProto | None) -> bool:
        """Whether producers give a node's result scales per channel: a convolution's result, or a function of integers."""
        if not self.style.per_channel_activations or node is None or node.name.startswith("head_"):
            return False
        producer = next((other for other in self.net.nodes if node.input[0] in other.output), None)
        behind = producer is not None and producer.op_type == "Conv" and node.op_type in ("Relu", "Clip", "LeakyRelu")
        alone = len([name for name in node.input if name in self.net.values]) == 1
        return node.op_type == "Conv" or behind or (alone and node.op_type in FUNCTIONS and node.input[0] in self.plan)

    def _only_moved(self, name: str) -> bool:
        """Whether an input is only transposed: to the channels first."""
        readers = self._readers.get(name, [])
        return name in self.net.inputs and bool(readers) and all(node.op_type == "Transpose" for node in readers)

    def _is_depthwise(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "Conv":
            return False
        shape = self.net.constants[node.input[1]].shape
        return shape[1] == 1 and self.net.shape(node.input[0])[1] == shape[0]

    def _fitted(self, value: Array, axes: tuple[int, ...] | None, symmetric: bool = False) -> Parameters:
        kind = self.style.dtypes
        dtype = self.net.pick(["uint8", "int8"]) if kind == "mixed" else "uint8" if kind == "uint8" else "int8"
        symmetric = symmetric or kind == "symmetric" or (kind == "mixed" and dtype == "int8")
        return fitted(value.min(axes), value.max(axes), dtype, symmetric, self.style.scales == "binary")

    def _equal(self, found: Parameters, value: Array) -> Parameters:
        """Parameters of another value, where they serve this one as well."""
        if self.style.scales != "equal":
            return found
        for other in list(self.plan.values())[::-1]:
            if other.scale.ndim or other.dtype != found.dtype or not 1 <= other.scale / found.scale <= 2:
                continue
            if np.abs((other.bytes_of(value) - other.zero_point.astype(int)) * other.scale - value).max() <= other.scale:
                return other
        return found

    def _operand(self, node: onnx.NodeProto, name: str) -> str:
        net = self.net
        if not name or name in net.values:
            plain = name not in self.plan or node.name.startswith("head_")
            return name if plain else self._read(name)
        if name in net.weights:
            return self._weight(name)
        if name in net.biases and self.style.integer_biases:
            return self._bias(name)
        numeric = node.op_type in ELEMENTWISE and not node.name.startswith(("head_", "tail_"))
        if numeric and self.style.integer_constants and not self.style.only_products and name not in net.biases:
            return self._quantized_constant(name)
        self.constants[name] = net.constants[name]
        return name

    def _read(self, name: str) -> str:
        """The DequantizeLinear of a planned value."""
        parameters = self.plan[name]
        integer = name if name in self.integer_inputs else f"{name}_integer"
        if integer != name and integer not in self._made:
            self._made[integer] = integer
            self._linear("QuantizeLinear", name, parameters, integer)
        if self.style.many_readers or integer not in self._made or self._made[integer] == integer:
            self._made[integer] = self._linear("DequantizeLinear", integer, parameters, self._fresh(f"{name}_real"))
        return self._made[integer]

    def _linear(self, operator: str, value: str, parameters: Parameters, output: str, axis: int = 1) -> str:
        names = [self.store(f"{output}_scale", parameters.scale), self.store(f"{output}_zero", parameters.zero_point)]
        attributes = {"axis": axis} if parameters.scale.ndim else {}
        self.nodes.append(onnx.helper.make_node(operator, [value, *names], [output], name=f"{output}_node", **attributes))
        return output

    def store(self, name: str, value: Array) -> str:
        """Adds an initializer."""
        self.constants[name] = np.asarray(value)
        return name

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}_{self._count}"

    def _weight(self, name: str) -> str:
        values, axis = self.net.constants[name], self.net.weights[name]
        parameters, axes = self._weight_parameters(name)
        made = self._fresh(f"{name}_real")
        if self.style.weight_form == "floats":
            floats = self.store(f"{made}_floats", values)
            integer = self._linear("QuantizeLinear", floats, parameters, f"{made}_integer", axis)
        else:
            shaped = Parameters(parameters.scale.reshape(axes), parameters.zero_point.reshape(axes))
            integer = self.store(f"{made}_integer", shaped.bytes_of(values))
        return self._linear("DequantizeLinear", integer, parameters, made, axis)

    def _weight_parameters(self, name: str) -> tuple[Parameters, list[int]]:
        """Parameters of a weight, and their shape. The groups of a transposed convolution share one."""
        values, axis = self.net.constants[name], self.net.weights[name]
        transposed = any(node.op_type == "ConvTranspose" for node in self._readers[name])
        single = not self.style.per_channel or transposed
        others = None if single else tuple(place for place in range(values.ndim) if place != axis)
        unsigned = self.style.weight_dtype == "uint8"
        parameters = fitted(values.min(others), values.max(others), self.style.weight_dtype, not unsigned, False)
        return parameters, [] if single else [-1 if place == axis else 1 for place in range(values.ndim)]

    def _bias(self, name: str) -> str:
        """An int32 bias with the scale of the products, if the activation's scale is known."""
        x, weight = self.net.biases[name]
        given = self._source(x)
        values = self.net.constants[name]
        if given is None or given.scale.ndim:
            return self.store(name, values)
        scale = np.float32(given.scale * self._weight_parameters(weight)[0].scale)
        integer = self.store(f"{name}_integer", np.rint(values / scale).astype(np.int32))
        names = [integer, self.store(f"{name}_scale", scale)]
        if self.net.chance(0.5):
            names.append(self.store(f"{name}_zero", np.zeros(scale.shape, np.int32)))
        attributes = {"axis": 0} if scale.ndim else {}
        real = f"{name}_real"
        self.nodes.append(onnx.helper.make_node("DequantizeLinear", names, [real], name=f"{name}_node", **attributes))
        return real

    def _source(self, name: str) -> Parameters | None:
        """The parameters of a value, or of the value that it was moved from."""
        while name not in self.plan:
            node = next((node for node in self.net.nodes if name in node.output), None)
            if node is None or not is_movement(node):
                return None
            name = node.input[0]
        return self.plan[name]

    def _quantized_constant(self, name: str) -> str:
        values = self.net.constants[name]
        dtype = "uint8" if self.style.dtypes == "uint8" else "int8"
        parameters = fitted(values.min(), values.max(), dtype, self.style.dtypes == "symmetric", False)
        made = self._fresh(f"{name}_real")
        integer = self.store(f"{made}_integer", parameters.bytes_of(values))
        return self._linear("DequantizeLinear", integer, parameters, made)
