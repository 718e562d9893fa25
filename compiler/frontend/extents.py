"""Checks the extents of values before ONNX Runtime loads a model, as it could exhaust the memory or end the process.

Shapes are inferred node by node, so that a negative extent is found before another node reads it; the inference of onnx and
ONNX Runtime for whole graphs aborts there. Shapes that cannot be inferred are left to ONNX Runtime.
"""

import math
import os
from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto, TypeProto, helper
from onnx.defs import SchemaError
from onnx.shape_inference import InferenceError, infer_node_outputs

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.runtime import model_inputs

LARGEST_EXTENT = 2**31 - 1
#: The most bytes of the values of one image: half of this machine's memory, and at most 16 GiB.
MEMORY = min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2, 2**34)
_NOT_INFERRED = (KeyError, RuntimeError, ValueError, TypeError, SchemaError, InferenceError, onnx.checker.ValidationError)
_SMALL = 1024  # most elements of a constant whose values may determine shapes
_AMOUNTS = ("auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides", "axis")
#: Operators whose constant operands contain extents.
_SHAPING = ("ConstantOfShape", "Expand", "Pad", "Reshape", "Resize", "Tile", "Upsample", "Unsqueeze")
#: For operators of com.microsoft: the ONNX operator with a result of the same shape, and the inputs that are its operands.
_ALIKE = {
    "QuantizeLinear": ("Identity", slice(0, 1)),
    "DequantizeLinear": ("Identity", slice(0, 1)),
    "QLinearAdd": ("Add", slice(0, 4, 3)),
    "QLinearMul": ("Mul", slice(0, 4, 3)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QGemm": ("Gemm", slice(0, 4, 3)),
    "QLinearAveragePool": ("AveragePool", slice(0, 1)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(0, 1)),
    "QLinearSigmoid": ("Sigmoid", slice(0, 1)),
    "QLinearLeakyRelu": ("LeakyRelu", slice(0, 1)),
    "QLinearSoftmax": ("Softmax", slice(0, 1)),
}


def check_extents(model: onnx.ModelProto) -> None:
    """Refuses a model whose values have negative extents, or are larger for one image than this machine's memory allows.

    Raises
    ------
    ModelError
        A node's result, an input or an attribute is at fault.
    """
    _Walk(model).run()


class _Walk:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._bytes = 0
        self._types: dict[str, TypeProto] = {}
        self._constants: dict[str, TensorProto] = {}
        for tensor in model.graph.initializer:
            self._types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            if math.prod(tensor.dims) <= _SMALL:
                self._constants[tensor.name] = tensor
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._opset = max(opsets.get("", 1), opsets.get("ai.onnx", 1))

    def run(self) -> None:
        for value in model_inputs(self._model.graph):
            self._types[value.name] = _one_image(value.type)
            self._count(value, self._types[value.name])
        for node in self._model.graph.node:
            self._check_amounts(node)
            made = self._infer(node)
            for kind in made.values():
                self._count(node, kind)
            self._types.update(made)
            tensor = attribute(node, "value") if node.op_type == "Constant" else None
            if isinstance(tensor, TensorProto) and node.output:
                self._constants[node.output[0]] = tensor

    def _count(self, what: onnx.NodeProto | onnx.ValueInfoProto, kind: TypeProto) -> None:
        """Adds the bytes of an input or of a node's result to the total, and checks it."""
        extents = [dim.dim_value for dim in kind.tensor_type.shape.dim if dim.HasField("dim_value")]
        if any(extent < 0 for extent in extents):
            raise ModelError(f"{_named(what)} has a negative extent, shape {extents}; fix it, or export the model again")
        self._bytes += math.prod(extents) * _element_bytes(kind.tensor_type.elem_type)
        if any(extent > LARGEST_EXTENT for extent in extents) or self._bytes > MEMORY:
            raise ModelError(f"{_named(what)} has shape {extents}: the values of one image then take more than "
                             f"{min(self._bytes, MEMORY) / 2**30:.1f} GiB; use smaller images or layers, or fix the node")

    def _check_amounts(self, node: onnx.NodeProto) -> None:
        for given in node.attribute:
            if given.name in _AMOUNTS:
                _check_range(node, given.name, _integers(onnx.helper.get_attribute_value(given)))
        if node.op_type in _SHAPING:
            for name in node.input:
                if name in self._constants and self._constants[name].data_type == TensorProto.INT64:
                    _check_range(node, name, onnx.numpy_helper.to_array(self._constants[name]).ravel().tolist())

    def _infer(self, node: onnx.NodeProto) -> Mapping[str, TypeProto]:
        """Returns the types of a node's results, as far as onnx can infer them."""
        like = _like(node)
        known = [name for name in like.input if name]
        try:
            schema = onnx.defs.get_schema(like.op_type, self._opset, like.domain)
            types = {name: self._types[name] for name in known}
            if like is not node:
                types = {name: _as_float(kind) for name, kind in types.items()}
            data = {name: self._constants[name] for name in known if name in self._constants}
            opsets = [helper.make_opsetid(like.domain, self._opset)]
            made = infer_node_outputs(schema, like, types, data, opset_imports=opsets, ir_version=self._model.ir_version)
        except _NOT_INFERRED:  # an operand or the operator is unknown, or they do not match
            return {}
        if like is not node:
            for kind in made.values():
                kind.tensor_type.elem_type = self._element_type(node, like)
        return made

    def _element_type(self, node: onnx.NodeProto, like: onnx.NodeProto) -> int:
        """Returns the element type of the result of an operator of com.microsoft: usually that of its first operand."""
        if node.op_type == "DequantizeLinear":
            return TensorProto.FLOAT
        name = node.input[2] if node.op_type == "QuantizeLinear" and len(node.input) > 2 else like.input[0]
        return self._types[name].tensor_type.elem_type if name in self._types else TensorProto.UINT8


def _like(node: onnx.NodeProto) -> onnx.NodeProto:
    if node.domain != MICROSOFT or node.op_type not in _ALIKE:
        return node
    operator, operands = _ALIKE[node.op_type]
    like = helper.make_node(operator, list(node.input[operands]), list(node.output))
    skipped = ("channels_last", "opset")
    like.attribute.extend(given for given in node.attribute if given.name not in skipped)
    return like


def _one_image(kind: TypeProto) -> TypeProto:
    """Returns the type of an input with a batch of 1."""
    single = TypeProto()
    single.CopyFrom(kind)
    dims = single.tensor_type.shape.dim
    if dims:
        dims[0].dim_value = 1
    return single


def _as_float(kind: TypeProto) -> TypeProto:
    floats = TypeProto()
    floats.CopyFrom(kind)
    floats.tensor_type.elem_type = TensorProto.FLOAT
    return floats


def _element_bytes(kind: int) -> int:
    try:
        return int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except (KeyError, TypeError):
        return 1


def _integers(value: object) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, int)]


def _named(what: onnx.NodeProto | onnx.ValueInfoProto) -> str:
    return described(what) if isinstance(what, onnx.NodeProto) else f"input '{what.name}'"


def _check_range(node: onnx.NodeProto, name: str, values: Sequence[int]) -> None:
    for value in values:
        if abs(value) > LARGEST_EXTENT:
            raise ModelError(f"{described(node)}: '{name}' is {value}, too large for an extent; fix it, or export again")
