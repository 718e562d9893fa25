"""Kinds of quantization that the accelerator does not have, recognised from the nodes alone.

ONNX Runtime cannot even load some of these models, so they are explained before it sees them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.origin import operator_name, origin_name, origin_operator
from arrayloom.compiler.frontend.runtime import model_inputs

QUANTIZE = "arrayloom quantize FLOAT.onnx --calibrate DIR --preprocess NAME -o OUT.onnx"

_T = onnx.TensorProto
_BYTES = (_T.UINT8, _T.INT8)
#: What a DequantizeLinear may read: bytes, and the int32 of a bias. The others have scales but no place on the accelerator.
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
_EXTENSIONS = ("ai.onnx.contrib", "com.microsoft.extensions")

Names = frozenset[str]


@dataclass(frozen=True)
class _Kinds:
    """What is known of a model's values without running it: constants, and the element types of some values."""

    constants: Names
    types: dict[str, int]


@dataclass(frozen=True)
class Scheme:
    """One kind of quantization, or of processing, that is refused as such.

    Attributes:
        model: what a model with such nodes is.
        reason: why such a node cannot be compiled.
        remedy: how to make a model that can be.
        holds: whether a node is of this kind.
    """

    model: str
    reason: str
    remedy: str
    holds: Callable[[onnx.NodeProto, _Kinds], bool]


def _is_narrow_or_wide(node: onnx.NodeProto, kinds: _Kinds) -> bool:
    if node.op_type in _PAIR:
        return _element_type(node, kinds) not in _LEGAL
    return node.op_type.startswith("QLinear") and any(
        kinds.types.get(name) in (_T.INT16, _T.UINT16) for name in node.input)


def _element_type(node: onnx.NodeProto, kinds: _Kinds) -> int:
    """The type of the integers of a QuantizeLinear or DequantizeLinear; UNDEFINED where only running would tell."""
    if node.op_type == "QuantizeLinear" and attribute(node, "output_dtype", 0):
        return int(attribute(node, "output_dtype"))
    known = [kinds.types[name] for name in node.input[2:3] if name in kinds.types]
    if node.op_type == "DequantizeLinear":
        known += [kinds.types[name] for name in node.input[:1] if name in kinds.types]
    return known[0] if known else _T.UNDEFINED


def _is_block_wise(node: onnx.NodeProto, kinds: _Kinds) -> bool:
    return node.op_type in _BLOCKS or (node.op_type in _PAIR and bool(attribute(node, "block_size", 0)))


def _is_qonnx(node: onnx.NodeProto, kinds: _Kinds) -> bool:
    return node.op_type in _QONNX and node.domain.startswith(("qonnx", "onnx.brevitas", "finn"))


def _decodes_pictures(node: onnx.NodeProto, kinds: _Kinds) -> bool:
    return node.domain in _EXTENSIONS or node.op_type in _PICTURES


_STATIC = f"quantize the float network statically: {QUANTIZE}"
SCHEMES = (
    Scheme("holds pre- or post-processing of pictures, which onnxruntime-extensions computes",
           "it decodes or draws pictures, or is an operator of onnxruntime-extensions",
           "export the network without it, from the first to the last layer, or cut it out with onnx.utils.extract_model; "
           "arrayloom reads pictures itself, with --preprocess NAME", _decodes_pictures),
    Scheme("is dynamically quantized: its scales are computed at run time, and the accelerator needs them fixed",
           "dynamically quantized: its scales are computed at run time", _STATIC,
           lambda node, kinds: node.op_type in _DYNAMIC),
    Scheme("holds operators of QONNX, which ONNX Runtime does not have", "an operator of QONNX",
           "export it in QCDQ form: brevitas.export.export_onnx_qcdq(MODULE, args=INPUT, export_path='OUT.onnx'), or convert "
           "it: qonnx-convert IN.onnx --output-style qcdq --output-file OUT.onnx", _is_qonnx),
    Scheme("holds TensorRT's own quantization, which ONNX Runtime does not have", "an operator of TensorRT",
           f"quantize to int8 in ONNX's own operators: python -m modelopt.onnx.quantization --onnx_path FLOAT.onnx "
           f"--quantize_mode int8, or {QUANTIZE}", lambda node, kinds: node.domain.startswith("trt")),
    Scheme("is quantized in blocks, each with a scale of its own", "quantized in blocks, each with a scale of its own",
           f"quantize weights per tensor or per channel, to 8 bits: {QUANTIZE}", _is_block_wise),
    Scheme("is quantized to another type than int8 and uint8", "quantized to another type than int8 and uint8",
           f"quantize activations and weights to 8 bits: {QUANTIZE}", _is_narrow_or_wide),
    Scheme("holds operators that imitate quantization in float", "it imitates quantization in float",
           f"export with QuantizeLinear and DequantizeLinear, or quantize the float network: {QUANTIZE}",
           lambda node, kinds: node.op_type in ("FakeQuantize", "BFPQuantizeDequantize", "MXQuantizeDequantize", "FixNeuron")),
)


def check_schemes(model: onnx.ModelProto, label: str) -> None:
    """Raise UnsupportedError where a model is quantized as a whole in a way that the accelerator cannot compute.

    All nodes at fault are listed. A model of which only the weights are quantized is one of these, too.
    """
    kinds = _kinds(model)
    found = {
        scheme: [node for node in model.graph.node if scheme.holds(node, kinds)] for scheme in SCHEMES
    }
    causes = [f"{label} {scheme.model}; {scheme.remedy}" for scheme, nodes in found.items() if nodes]
    entries: dict[str, Unsupported] = {}
    for scheme, nodes in found.items():
        for node in nodes:
            entry = Unsupported(origin_name(node), origin_operator(node), _what(node, kinds), scheme.reason, scheme.remedy)
            entries.setdefault(entry.node, entry)
    if entries:
        raise UnsupportedError(list(entries.values()), "\n".join(causes))
    _check_activations(model, kinds, label)


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the model holds a quantized operator of whatever kind, or computes on bytes alone."""
    return any(_is_quantized(node) for node in model.graph.node) or _computes_on_bytes(model)


def _is_quantized(node: onnx.NodeProto) -> bool:
    operator = node.op_type
    named = operator.startswith(("QLinear", "QGemm", "QAttention")) or operator.endswith((*_PAIR, "Integer"))
    return named or operator in (*_DYNAMIC, *_BLOCKS, "FakeQuantize") or _is_qonnx(node, _Kinds(frozenset(), {}))


def _computes_on_bytes(model: onnx.ModelProto) -> bool:
    """Whether all inputs are bytes, and no Cast makes floats of them: pooling and movement need no scales."""
    types = [value.type.tensor_type.elem_type for value in model_inputs(model.graph)]
    casts = any(node.op_type in ("Cast", "CastLike") for node in model.graph.node)
    return bool(types) and all(kind in _BYTES for kind in types) and not casts


def _check_activations(model: onnx.ModelProto, kinds: _Kinds, label: str) -> None:
    quantized = [node for node in model.graph.node if _is_quantized(node)]
    if not quantized or any(_concerns_activations(node, kinds) for node in quantized):
        return
    reason = "only constants are quantized: what it is multiplied with stays in float"
    nodes = [node for node in quantized if node.op_type == "DequantizeLinear"] or quantized
    raise UnsupportedError(
        [Unsupported(origin_name(node), origin_operator(node), "", reason, _STATIC) for node in nodes],
        f"{label} has quantized weights only: its activations stay in float, which the accelerator does not compute; "
        f"quantize activations, too: {QUANTIZE}",
    )


def _concerns_activations(node: onnx.NodeProto, kinds: _Kinds) -> bool:
    return node.op_type not in _PAIR or (bool(node.input) and node.input[0] not in kinds.constants)


def _what(node: onnx.NodeProto, kinds: _Kinds) -> str:
    if node.op_type in _PAIR and (kind := _element_type(node, kinds)) not in _LEGAL:
        return f"type {_T.DataType.Name(kind).lower() if kind in _T.DataType.values() else kind}"
    if node.op_type in _PAIR and attribute(node, "block_size", 0):
        return f"block_size = {attribute(node, 'block_size')}"
    return ""


def _kinds(model: onnx.ModelProto) -> _Kinds:
    """Constants follow from initializers and Constant nodes; types from those, the inputs and every QuantizeLinear."""
    graph = model.graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.input]}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    constants = {tensor.name for tensor in graph.initializer}
    partial = _Kinds(frozenset(), types)
    for node in graph.node:
        if not any(name and name not in constants for name in node.input) and not operator_name(node).startswith("Random"):
            constants.update(node.output)
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto):
            types[node.output[0]] = value.data_type
        if node.op_type == "QuantizeLinear" and _element_type(node, partial):
            types[node.output[0]] = _element_type(node, partial)
    return _Kinds(frozenset(constants), types)
