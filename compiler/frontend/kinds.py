"""Kinds of ONNX operators that several passes treat alike."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute

#: Operators whose result is their operand.
NOTHING = ("Identity", "Dropout")

#: Operators that change only the shape.
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")

#: Operators that move the elements of their first operand, or insert padding.
MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Pad", "Gather", "Resize", "Upsample", "Expand", "Tile")

#: Operators that the host can do before and after the accelerator's part.
BY_HOST = (*RESHAPES, *NOTHING, "Transpose")

#: Operators that bound each element.
ACTIVATIONS = ("Relu", "Clip")

#: Operators that choose the largest elements, which commutes with dequantizing.
MAXIMA = ("MaxPool", "GlobalMaxPool")

#: Float operators with weights.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")

#: Element-wise operators.
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
    """Whether a node only moves the elements of its first operand or inserts padding, so that it can be done on integers."""
    return node.op_type in (*MOVEMENTS, *NOTHING) and not is_interpolation(node)
