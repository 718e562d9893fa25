"""Kinds of quantization that the accelerator does not support, recognized from the nodes alone.

ONNX Runtime cannot even load some of these models, so they are refused before it reads them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.origin import origin_name, origin_operator
from arrayloom.compiler.frontend.runtime import model_inputs

QUANTIZE = "arrayloom quantize FLOAT.onnx --calibrate DIR --preprocess NAME -o OUT.onnx"

_T = onnx.TensorProto
_BYTES = (_T.UINT8, _T.INT8)
#: Types that a DequantizeLinear may read: bytes, and the int32 of a bias. The accelerator does not support others.
_LEGAL = (*_BYTES, _T.INT32, _T.UNDEFINED)
_PAIR = ("QuantizeLinear", "DequantizeLinear")
_DYNAMIC = (
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MatMulInteger16",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
)
_BLOCKS = ("MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "GatherBlockQuantized", "QMoE", "QuantizeBFP", "DequantizeBFP")
_QONNX = ("Quant", "IntQuant", "FloatQuant", "BipolarQuant", "Trunc")
_PICTURES = ("ImageDecoder", "DecodeImage", "EncodeImage", "DrawBoundingBoxes")
_IMITATED = ("FakeQuantize", "BFPQuantizeDequantize", "MXQuantizeDequantize", "FixNeuron")
_EXTENSIONS = ("ai.onnx.contrib", "com.microsoft.extensions")


@dataclass(frozen=True)
class _Seen:
    """A node and, if it quantizes or dequantizes, the type of its integers as far as the model declares it."""

    node: onnx.NodeProto
    kind: int
    types: dict[str, int]  # types of the model's values, as far as they are declared

    @property
    def is_pair(self) -> bool:
        """Whether it is a QuantizeLinear or a DequantizeLinear."""
        return self.node.op_type in _PAIR

    @property
    def what(self) -> str:
        """The unsupported type or attribute, for messages."""
        if self.is_pair and self.kind not in _LEGAL:
            return f"type {_T.DataType.Name(self.kind).lower() if self.kind in _T.DataType.values() else self.kind}"
        if self.is_pair and attribute(self.node, "block_size", 0):
            return f"block_size = {attribute(self.node, 'block_size')}"
        return ""


@dataclass(frozen=True)
class Scheme:
    """A kind of quantization or processing that is refused as a whole.

    Attributes
    ----------
    model
        What is wrong with a model that has such nodes: a text that follows the model's name.
    reason
        Why such a node cannot be compiled.
    remedy
        How to make a model that can be compiled.
    holds
        Whether a node is of this kind.
    """

    model: str
    reason: str
    remedy: str
    holds: Callable[[_Seen], bool]


def _is_narrow_or_wide(seen: _Seen) -> bool:
    if seen.is_pair:
        return seen.kind not in _LEGAL
    names = seen.node.input
    return seen.node.op_type.startswith("QLinear") and any(seen.types.get(name) in (_T.INT16, _T.UINT16) for name in names)


def _is_block_wise(seen: _Seen) -> bool:
    return seen.node.op_type in _BLOCKS or (seen.is_pair and bool(attribute(seen.node, "block_size", 0)))


def _is_qonnx(node: onnx.NodeProto) -> bool:
    return node.op_type in _QONNX and node.domain.startswith(("qonnx", "onnx.brevitas", "finn"))


_STATIC = f"quantize the float network statically: {QUANTIZE}"
SCHEMES = (
    Scheme("holds pre- or post-processing of pictures, which onnxruntime-extensions computes",
           "it decodes or draws pictures, or is an operator of onnxruntime-extensions",
           "export the network without it, from the first to the last layer, or cut it out with onnx.utils.extract_model; "
           "arrayloom reads pictures itself, with --preprocess NAME",
           lambda seen: seen.node.domain in _EXTENSIONS or seen.node.op_type in _PICTURES),
    Scheme("is dynamically quantized: its scales are computed at run time, and the accelerator needs them fixed",
           "dynamically quantized: its scales are computed at run time", _STATIC,
           lambda seen: seen.node.op_type in _DYNAMIC),
    Scheme("holds operators of QONNX, which ONNX Runtime does not have", "an operator of QONNX",
           "export it in QCDQ form: brevitas.export.export_onnx_qcdq(MODULE, args=INPUT, export_path='OUT.onnx'), "
           "or convert it: qonnx-convert IN.onnx --output-style qcdq --output-file OUT.onnx",
           lambda seen: _is_qonnx(seen.node)),
    Scheme("holds TensorRT's own quantization, which ONNX Runtime does not have", "an operator of TensorRT",
           f"quantize to int8 in ONNX's own operators: python -m modelopt.onnx.quantization --onnx_path FLOAT.onnx "
           f"--quantize_mode int8, or {QUANTIZE}", lambda seen: seen.node.domain.startswith("trt")),
    Scheme("is quantized in blocks, each with a scale of its own", "quantized in blocks, each with a scale of its own",
           f"quantize weights per tensor or per channel, to 8 bits: {QUANTIZE}", _is_block_wise),
    Scheme("is quantized to a type other than int8 and uint8", "quantized to a type other than int8 and uint8",
           f"quantize activations and weights to 8 bits: {QUANTIZE}", _is_narrow_or_wide),
    Scheme("holds operators that imitate quantization in float", "it imitates quantization in float",
           f"export with QuantizeLinear and DequantizeLinear, or quantize the float network: {QUANTIZE}",
           lambda seen: seen.node.op_type in _IMITATED),
)


def check_schemes(model: onnx.ModelProto, label: str) -> None:
    """Raises UnsupportedError if a model is quantized in a way that the accelerator cannot compute.

    The error lists all nodes of this kind. A model of which only the weights are quantized is refused too.
    """
    nodes = _look_at(model)
    found = {scheme: [seen for seen in nodes if scheme.holds(seen)] for scheme in SCHEMES}
    causes = [f"{label} {scheme.model}; {scheme.remedy}" for scheme, seen in found.items() if seen]
    entries = [_entry(seen, scheme.reason, scheme.remedy) for scheme, held in found.items() for seen in held]
    if entries:
        raise UnsupportedError(list({entry.node: entry for entry in entries[::-1]}.values())[::-1], "\n".join(causes))
    _check_activations(model, label)


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the model holds any quantized operator, or computes on bytes only."""
    return any(_is_quantized(node) for node in model.graph.node) or _computes_on_bytes(model)


def _is_quantized(node: onnx.NodeProto) -> bool:
    operator = node.op_type
    named = operator.startswith(("QLinear", "QGemm", "QAttention")) or operator.endswith((*_PAIR, "Integer"))
    return named or operator in (*_DYNAMIC, *_BLOCKS, *_IMITATED) or _is_qonnx(node)


def _computes_on_bytes(model: onnx.ModelProto) -> bool:
    """Whether all inputs are bytes and no Cast converts them to float: pooling and movement need no scales."""
    types = [value.type.tensor_type.elem_type for value in model_inputs(model.graph)]
    casts = any(node.op_type in ("Cast", "CastLike") for node in model.graph.node)
    return bool(types) and all(kind in _BYTES for kind in types) and not casts


def _check_activations(model: onnx.ModelProto, label: str) -> None:
    quantized = [node for node in model.graph.node if _is_quantized(node)]
    constants = _constants(model.graph)
    if not quantized or any(node.op_type not in _PAIR or node.input[0] not in constants for node in quantized):
        return
    reason = "only constants are quantized: what it is multiplied with stays in float"
    nodes = [node for node in quantized if node.op_type == "DequantizeLinear"] or quantized
    raise UnsupportedError(
        [Unsupported(origin_name(node), origin_operator(node), "", reason, _STATIC) for node in nodes],
        f"{label} has quantized weights only: its activations stay in float, which the accelerator does not compute; "
        f"quantize activations, too: {QUANTIZE}",
    )


def _entry(seen: _Seen, reason: str, remedy: str) -> Unsupported:
    return Unsupported(origin_name(seen.node), origin_operator(seen.node), seen.what, reason, remedy)


def _constants(graph: onnx.GraphProto) -> set[str]:
    """Returns the values that depend only on initializers and Constant nodes."""
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if not any(name and name not in constants for name in node.input) and not node.op_type.startswith("Random"):
            constants.update(node.output)
    return constants


def _look_at(model: onnx.ModelProto) -> list[_Seen]:
    """Returns all nodes with their types.

    Types follow from initializers, Constant nodes, declared values and earlier QuantizeLinear nodes.
    """
    graph = model.graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.input]}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        kind = _element_type(node, types)
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto) and node.output:
            types[node.output[0]] = value.data_type
        if node.op_type == "QuantizeLinear" and kind and node.output:
            types[node.output[0]] = kind
        nodes.append(_Seen(node, kind, types))
    return nodes


def _element_type(node: onnx.NodeProto, types: dict[str, int]) -> int:
    """Returns the integer type of a QuantizeLinear or DequantizeLinear, or UNDEFINED if it is known only at run time."""
    if node.op_type not in _PAIR:
        return _T.UNDEFINED
    if node.op_type == "QuantizeLinear" and attribute(node, "output_dtype", 0):
        return int(attribute(node, "output_dtype"))
    known = [types[name] for name in node.input[2:3] if name in types]
    if node.op_type == "DequantizeLinear":
        known += [types[name] for name in node.input[:1] if name in types]
    return known[0] if known else _T.UNDEFINED
