"""Kinds of ONNX operators that several passes treat alike."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute

#: They give what they are given.
NOTHING = ("Identity", "Dropout")

#: They give the same elements in another shape.
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")

#: They give elements of their first operand, or padding, in other places.
MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Pad", "Gather", "Resize", "Upsample", "Expand", "Tile")

#: What the host does at the border of the accelerator's part.
BY_HOST = (*RESHAPES, *NOTHING, "Transpose")

#: They bound each element.
ACTIVATIONS = ("Relu", "Clip")

#: They choose the largest elements, which are the same whether they are quantized or dequantized.
MAXIMA = ("MaxPool", "GlobalMaxPool")

#: Layers with weights, in float.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")

#: Each element they give depends on one element of each operand.
FUNCTIONS = (
    "Relu",
    "Clip",
    "LeakyRelu",
    "PRelu",
    "ThresholdedRelu",
    "Elu",
    "Celu",
    "Selu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Softplus",
    "Softsign",
    "Mish",
    "Gelu",
    "Erf",
    "Exp",
    "Log",
    "Sqrt",
    "Pow",
    "Abs",
    "Neg",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Min",
    "Max",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "BatchNormalization",
)


def is_interpolation(node: onnx.NodeProto) -> bool:
    """Whether a node interpolates between elements."""
    return node.op_type in ("Resize", "Upsample") and attribute(node, "mode", "nearest") != "nearest"


def moves(node: onnx.NodeProto) -> bool:
    """Whether a node gives elements of its first operand, or padding, in other places: also the same on integers."""
    return node.op_type in (*MOVEMENTS, *NOTHING) and not is_interpolation(node)
