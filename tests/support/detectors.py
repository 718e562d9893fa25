"""Small int8 networks in the form of detectors, with fixed outputs for every picture."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
POSITIONS = 21      # for strides 8, 16 and 32 on 32x32

Planted = Mapping[str, tuple[NDArray[Any], float]]
"""By the output's name: its values [...] without the batch, and the scale of the bytes that hold them."""


def planted_model(outputs: Planted, names: str | None = None) -> onnx.ModelProto:
    """Input ``image`` float32 [N, 3, 32, 32], outputs [N, ...]: the mean of each channel times 0, plus the given values.

    ``names``: the names of classes in the metadata, in Ultralytics' form.
    """
    constants: dict[str, NDArray[Any]] = {"scale": np.float32(1 / 255), "zero": np.uint8(0), "zero8": np.int8(0)}
    nodes = [helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
             helper.make_node("QLinearGlobalAveragePool", ["q", "scale", "zero", "scale", "zero"], ["mean"],
                              domain="com.microsoft", channels_last=0)]
    for name, (values, scale) in outputs.items():
        count = math.prod(values.shape)
        constants |= {f"{name}_w": np.zeros((count, 3, 1, 1), np.int8), f"{name}_ws": np.float32(scale * 255),
                      f"{name}_s": np.float32(scale), f"{name}_z": np.uint8(128 * bool(values.min() < 0)),
                      f"{name}_b": np.rint(values / scale).astype(np.int32).ravel(),
                      f"{name}_shape": np.array([0, *values.shape], np.int64)}
        inputs = ["mean", "scale", "zero", f"{name}_w", f"{name}_ws", "zero8", f"{name}_s", f"{name}_z", f"{name}_b"]
        nodes += [helper.make_node("QLinearConv", inputs, [f"{name}_q"]),
                  helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_s", f"{name}_z"], [f"{name}_f"]),
                  helper.make_node("Reshape", [f"{name}_f", f"{name}_shape"], [name])]
    graph = helper.make_graph(
        nodes, "detector", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *values.shape])
         for name, (values, _) in outputs.items()],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13),
                                                                  helper.make_opsetid("com.microsoft", 1)])
    if names is not None:
        helper.set_model_props(model, {"names": names})
    return model


def yolov8_rows(rows: Mapping[int, list[float]], classes: int = 2) -> NDArray[np.float32]:
    """YOLOv8's output [4 + classes, 21]: ``rows`` at their positions, zero scores elsewhere."""
    values = np.zeros((4 + classes, POSITIONS), np.float32)
    for place, row in rows.items():
        values[:, place] = row
    return values
