"""Kinds of ONNX operators that several passes treat alike."""

#: They give what they are given.
NOTHING = ("Identity", "Dropout")

#: They give the same elements in another shape.
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")

#: They give elements of their first operand, or padding, in other places.
MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Pad", "Gather", "Resize", "Upsample", "Expand", "Tile")

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
