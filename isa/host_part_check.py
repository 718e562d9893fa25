"""Checks the host's parts of a network, so that program files from untrusted sources can be run.

ONNX Runtime executes a part. It is refused unless each of its operators is listed here: these compute their outputs only
from their inputs, access no files, and end after a number of steps bounded by the sizes of their inputs.
"""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_parts import HostPart

LARGEST_PART = 1 << 30      # most bytes of a part's model; protobuf's limit is 2**31

_ONNX = """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
    BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat
    Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Det
    Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization
    HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu
    Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QLinearConv
    QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign
    RotaryEmbedding Round Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unique Unsqueeze Upsample Where Xor
"""
_MICROSOFT = """
    BiasAdd BiasGelu BiasSplitGelu ConvTransposeWithDynamicPads CropAndResize DequantizeLinear FastGelu FusedConv
    FusedGemm FusedMatMul Gelu GridSample GroupNorm Inverse LayerNormalization NhwcConv NhwcMaxPool Pad QGemm QLinearAdd
    QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean
    QLinearSigmoid QLinearSoftmax QLinearWhere QuantizeLinear QuickGelu SkipLayerNormalization Trilu
"""
OPERATORS = {"": frozenset(_ONNX.split()), "com.microsoft": frozenset(_MICROSOFT.split())}
_LEGAL_ATTRIBUTES = frozenset(
    onnx.AttributeProto.AttributeType.Value(kind)
    for kind in ("FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS", "TENSORS", "GRAPHS"))
_DEEPEST = 8    # graphs within graphs


def read_part(part: HostPart, which: str) -> onnx.ModelProto:
    """The part's checked model; ``which`` names the part in messages.

    Raises ``EncodingError`` if it is not an ONNX model, is too large, has external data, or contains an operator that is not
    listed; the text names the part and the node.
    """
    if len(part.model) > LARGEST_PART:
        raise EncodingError(f"the host's {which}: {len(part.model):,} bytes, and it may have {LARGEST_PART:,}")
    try:
        model = onnx.ModelProto.FromString(part.model)
    except DecodeError:
        raise EncodingError(f"the host's {which} is not an ONNX model") from None
    if not model.graph.node or not model.graph.output:
        raise EncodingError(f"the host's {which} holds no nodes or no outputs")
    if model.functions or model.training_info:
        raise EncodingError(f"the host's {which} holds functions of its own or training information, which no part may")
    for graph in _graphs(model.graph, which):
        _check_tensors(graph, which)
        for node in graph.node:
            _check_operator(node, which)
    return model


def required_inputs(model: onnx.ModelProto) -> list[str]:
    """The names of a part's inputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def _check_operator(node: onnx.NodeProto, which: str) -> None:
    domain = "" if node.domain == "ai.onnx" else node.domain
    if node.op_type not in OPERATORS.get(domain, ()):
        operator = f"{domain}.{node.op_type}" if domain else node.op_type
        raise EncodingError(f"the host's {which}: {operator} '{_name(node)}': the host does not compute that operator")


def _graphs(graph: onnx.GraphProto, which: str, depth: int = 0) -> Iterator[onnx.GraphProto]:
    """The graph and all its subgraphs, each after the one that contains it."""
    if depth > _DEEPEST:
        raise EncodingError(f"the host's {which}: its graphs lie more than {_DEEPEST} deep in one another")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner, which, depth + 1)


def _check_tensors(graph: onnx.GraphProto, which: str) -> None:
    """Checks that no tensor is in a file outside the part."""
    if graph.sparse_initializer:
        raise EncodingError(f"the host's {which}: it holds sparse constants, which no part may")
    for tensor in graph.initializer:
        _check_tensor(tensor, f"constant '{tensor.name}'", which)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type not in _LEGAL_ATTRIBUTES:
                raise EncodingError(f"the host's {which}: {node.op_type} '{_name(node)}': no part may hold what attribute "
                                    f"'{attribute.name}' holds")
            for tensor in (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors):
                _check_tensor(tensor, f"{node.op_type} '{_name(node)}'", which)


def _check_tensor(tensor: onnx.TensorProto, what: str, which: str) -> None:
    if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise EncodingError(f"the host's {which}: {what}: its data lie in another file")


def _name(node: onnx.NodeProto) -> str:
    return node.name or next((name for name in node.output if name), "")
