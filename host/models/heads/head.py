"""A head: the ONNX file of a classifier of features, with its class names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.heads.errors import HeadError

INPUT, OUTPUT = "features", "probabilities"
LABELS = "arrayloom.labels"
_OPSET, _IR_VERSION = 13, 8


def head_model(weight: NDArray[np.float32], bias: NDArray[np.float32], labels: list[str],
               metadata: dict[str, str]) -> onnx.ModelProto:
    """softmax(features · weight + bias) as ONNX; ``weight`` [C, classes], ``bias`` [classes]."""
    nodes = [helper.make_node("Flatten", [INPUT], ["rows"], name="flatten"),
             helper.make_node("Gemm", ["rows", "weight", "bias"], ["logits"], name="classifier"),
             helper.make_node("Softmax", ["logits"], [OUTPUT], name="softmax", axis=1)]
    graph = helper.make_graph(
        nodes, "head", [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 1, 1, len(weight)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", len(labels)])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="arrayloom")
    model.ir_version = _IR_VERSION
    helper.set_model_props(model, {LABELS: json.dumps(labels)} | metadata)
    return model


class Head:
    """A file that ``arrayloom train-head`` wrote. ``labels``: the classes in order; ``width``: features it takes.

    Raises ``HeadError`` for any other file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            model = onnx.load(path)
        except FileNotFoundError:
            raise HeadError(f"{path}: no such file; make a head with arrayloom train-head") from None
        except (DecodeError, OSError) as error:
            raise HeadError(f"{path}: is not an ONNX model ({error}); make a head with arrayloom train-head") from None
        named = [entry.value for entry in model.metadata_props if entry.key == LABELS]
        inputs = [value.name for value in model.graph.input]
        if not named or inputs != [INPUT]:
            raise HeadError(f"{path}: is not a head, since its metadata names no classes; make one with: "
                            "arrayloom train-head")
        self.labels: list[str] = json.loads(named[0])
        self.width = int(model.graph.input[0].type.tensor_type.shape.dim[3].dim_value)
        self._session = Session(model)

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Features [N, 1, 1, C] to probabilities [N, classes]; raises ``HeadError`` where C is another one."""
        if features.ndim != 4 or features.shape[1:] != (1, 1, self.width):
            raise HeadError(f"{self.path}: takes features [N, 1, 1, {self.width}], but the network's are "
                            f"{list(features.shape)}; train a head on features of this network")
        return self._session.run({INPUT: features.astype(np.float32)})[OUTPUT]
