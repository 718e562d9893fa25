"""Domains of operators, and the first ONNX operator set in which an operator supports what a rule needs."""

import onnx

ONNX_DOMAINS = ("", "ai.onnx")
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators

SLICE_OPSET = 10         # Slice takes its bounds as inputs
PAD_OPSET = 11           # Pad takes its amounts as an input, and supports integers
CLIP_OPSET = 12          # Clip, Max and Min support 8-bit integers
MAX_POOL_OPSET = 12      # MaxPool supports 8-bit integers
DEQUANTIZER_OPSET = 13   # DequantizeLinear can have a scale for each channel
SOFTMAX_OPSET = 13       # Softmax works along one axis; earlier versions flatten the operand there


def is_onnx(node: onnx.NodeProto) -> bool:
    """Whether the operator is one of ONNX itself."""
    return node.domain in ONNX_DOMAINS
