"""The inputs of quantized operators of ONNX and com.microsoft that are zero points."""

RESULT = -1

#: For each operator: the index of an integer operand, or RESULT -> the index of the input that is its zero point.
OPERANDS: dict[str, dict[int, int]] = {
    "QuantizeLinear": {RESULT: 2},
    "DequantizeLinear": {0: 2},
    "QLinearConv": {0: 2, RESULT: 7},
    "QLinearMatMul": {0: 2, 3: 5, RESULT: 7},
    "QGemm": {0: 2, RESULT: 8},
    "QLinearAdd": {0: 2, 3: 5, RESULT: 7},
    "QLinearMul": {0: 2, 3: 5, RESULT: 7},
    "QLinearAveragePool": {0: 2, RESULT: 4},
    "QLinearGlobalAveragePool": {0: 2, RESULT: 4},
    "QLinearReduceMean": {0: 2, RESULT: 4},
    "QLinearLeakyRelu": {0: 2, RESULT: 4},
    "QLinearSigmoid": {0: 2, RESULT: 4},
    "QLinearSoftmax": {0: 2, RESULT: 4},
}

#: Its inputs are the result's scale and zero point, then value, scale and zero point of each operand.
CONCAT = "QLinearConcat"
