"""Rules that import integer operators: each adds the operations of one ONNX node to the integer graph."""

from collections.abc import Callable

import onnx

from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.kinds import MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.operators.attention import softmax
from arrayloom.compiler.frontend.operators.bounds import clip, maximum, minimum, relu
from arrayloom.compiler.frontend.operators.elementwise import add, concat, mul, table
from arrayloom.compiler.frontend.operators.functions import FUNCTIONS_OF_BYTES, function
from arrayloom.compiler.frontend.operators.matrix import conv, gemm, matmul
from arrayloom.compiler.frontend.operators.movement import move
from arrayloom.compiler.frontend.operators.pooling import average_pool, global_average_pool, max_pool

Rule = Callable[[Builder, onnx.NodeProto], None]

RULES: dict[str, Rule] = {
    "QLinearConv": conv,
    "QLinearMatMul": matmul,
    "com.microsoft.QGemm": gemm,
    "com.microsoft.QLinearAdd": add,
    "com.microsoft.QLinearMul": mul,
    "com.microsoft.QLinearConcat": concat,
    "com.microsoft.QLinearAveragePool": average_pool,
    "com.microsoft.QLinearGlobalAveragePool": global_average_pool,
    "com.microsoft.QLinearLeakyRelu": table,
    "com.microsoft.QLinearSigmoid": table,
    "com.microsoft.QLinearSoftmax": softmax,
    "MaxPool": max_pool,
    "Clip": clip,
    "Relu": relu,
    "Max": maximum,
    "Min": minimum,
    "Split": move,
    **dict.fromkeys(FUNCTIONS_OF_BYTES, function),
    **dict.fromkeys(MOVEMENTS, move),
    **dict.fromkeys(NOTHING, move),
}
