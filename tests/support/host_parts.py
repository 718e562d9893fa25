"""Small quantized networks with a float head, a float tail or both on the host."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from arrayloom.compiler.frontend import HostPolicy, ImportOptions

SIDE = 8
OPSET = 17
ANY = ImportOptions(HostPolicy.ANY)


class _Builder:
    """Nodes and constants of a network in QDQ form."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], f"node_{output}", **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def quantized(self, x: str, scale: float, zero_point: int = 128) -> str:
        """The value through QuantizeLinear and DequantizeLinear, uint8."""
        pair = [self.constant(f"{x}_scale", np.float32(scale)), self.constant(f"{x}_zero", np.uint8(zero_point))]
        self.add("QuantizeLinear", [x, *pair], f"{x}_q")
        return self.add("DequantizeLinear", [f"{x}_q", *pair], f"{x}_dq")

    def conv(self, x: str, output: str, inputs: int, outputs: int, side: int = 3) -> str:
        weight = self.constant(f"{output}_w", self.rng.integers(-127, 128, (outputs, inputs, side, side)).astype(np.int8))
        pair = [self.constant(f"{output}_ws", np.float32(0.01)), self.constant(f"{output}_wz", np.int8(0))]
        self.add("DequantizeLinear", [weight, *pair], f"{output}_wdq")
        self.add("Conv", [x, f"{output}_wdq"], output, pads=[side // 2] * 4, kernel_shape=[side, side])
        return output

    def model(self, given: onnx.ValueInfoProto, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "parts", [given], outputs, constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _head(b: _Builder, channels_last: bool) -> onnx.ValueInfoProto:
    """uint8 pixels to floats around 0: a Cast, a division by 255, a subtraction."""
    shape = ["N", SIDE, SIDE, 3] if channels_last else ["N", 3, SIDE, SIDE]
    b.add("Cast", ["picture"], "cast", to=TensorProto.FLOAT)
    x = b.add("Transpose", ["cast"], "turned", perm=[0, 3, 1, 2]) if channels_last else "cast"
    b.add("Div", [x, b.constant("full", np.float32(255))], "unit")
    b.add("Sub", ["unit", b.constant("mean", np.array([0.4, 0.5, 0.6], np.float32).reshape(1, 3, 1, 1))], "centred")
    return helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)


def head_and_tail(seed: int = 0, channels_last: bool = False) -> onnx.ModelProto:
    """``picture`` uint8 [N, 3, 8, 8] to ``boxes`` float [N, 64, 4] and ``scores`` [N, 64, 2], as detectors end."""
    b = _Builder(seed)
    given = _head(b, channels_last)
    x = b.quantized(b.conv(b.quantized("centred", 1 / 255), "deep", 3, 8), 0.05)
    boxes, scores = (b.quantized(b.conv(x, name, 8, count, 1), 0.1) for name, count in (("place", 4), ("class", 2)))
    rows = [b.add("Reshape", [y, b.constant(f"{y}_rows", np.array([0, count, -1]))], f"{y}_flat")
            for y, count in ((boxes, 4), (scores, 2))]
    b.add("Concat", rows, "all", axis=1)
    b.add("Transpose", ["all"], "places", perm=[0, 2, 1])
    b.nodes.append(helper.make_node("Split", ["places", b.constant("parts", np.array([4, 2]))], ["raw", "logits"], "split",
                                    axis=2))
    b.add("Exp", ["raw"], "boxes")
    b.add("Sigmoid", ["logits"], "scores")
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", SIDE * SIDE, count])
               for name, count in (("boxes", 4), ("scores", 2))]
    return b.model(given, outputs)


def suppressed(seed: int = 0) -> onnx.ModelProto:
    """``image`` float [1, 3, 8, 8] to ``kept`` int64 [K, 3] by NonMaxSuppression; K depends on the picture."""
    b = _Builder(seed)
    x = b.quantized(b.conv(b.quantized("image", 1 / 255, 0), "deep", 3, 8), 0.05)
    boxes, scores = (b.quantized(b.conv(x, name, 8, count, 1), 0.1) for name, count in (("place", 4), ("class", 1)))
    b.add("Reshape", [boxes, b.constant("shape4", np.array([1, 4, -1]))], "flat4")
    b.add("Transpose", ["flat4"], "boxes", perm=[0, 2, 1])
    b.add("Reshape", [scores, b.constant("shape1", np.array([1, 1, -1]))], "scores")
    limits = [b.constant("most", np.array([20])), b.constant("iou", np.array([0.5], np.float32)),
              b.constant("least", np.array([0.5], np.float32))]
    b.add("NonMaxSuppression", ["boxes", "scores", *limits], "kept")
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    return b.model(given, [helper.make_tensor_value_info("kept", TensorProto.INT64, ["K", 3])])


def float_classifier(seed: int = 0) -> onnx.ModelProto:
    """``image`` float [N, 3, 8, 8] to ``logits`` [N, 10]; the last layer is float with many multiply-accumulates."""
    b = _Builder(seed)
    x = b.quantized(b.conv(b.quantized("image", 1 / 255, 0), "deep", 3, 8), 0.05)
    b.add("Flatten", [x], "flat")
    b.add("MatMul", ["flat", b.constant("weights", b.rng.normal(0, 1, (8 * SIDE * SIDE, 10)).astype(np.float32))], "logits")
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    return b.model(given, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])])


def pictures(count: int, seed: int = 0, channels_last: bool = False) -> np.ndarray:
    """uint8 [N, 3, 8, 8], or [N, 8, 8, 3]."""
    shape = (count, SIDE, SIDE, 3) if channels_last else (count, 3, SIDE, SIDE)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
