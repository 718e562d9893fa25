"""Write the trained digits network as float ONNX and as int8 QOperator ONNX, its labels, and some held-out images."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from PIL import Image

from arrayloom.host.models.digits import FLOAT_MODEL, IMAGES, LABELS, MODEL
from arrayloom.host.models.digits.evaluate import Split
from arrayloom.host.models.digits.resnet import (
    CLASSES,
    Array,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    Relu,
    Residual,
    Sequential,
)

# Old enough for every ONNX Runtime that has the quantized operators; per-channel weights came with opset 13.
_OPSET, _IR_VERSION = 13, 8

_ENLARGEMENT = 8


class _Exporter:
    """Collects the nodes and initializers of a graph while walking through the layers."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def emit(self, layer: Layer, x: str) -> str:
        """Append `layer` on the value named `x`; return the name of its output."""
        match layer:
            case Sequential():
                for inner in layer.layers:
                    x = self.emit(inner, x)
                return x
            case Residual():
                return self._node("Relu", self._node("Add", self.emit(layer.branch, x), self.emit(layer.shortcut, x)))
            case Linear():
                return self._node("Gemm", self._node("Flatten", x), *self._constants(layer, layer.weight[0, 0]))
            case Conv():
                size, padding, stride = len(layer.weight), layer.padding, layer.stride
                attributes = {"kernel_shape": [size] * 2, "pads": [padding] * 4, "strides": [stride] * 2}
                return self._node("Conv", x, *self._constants(layer, layer.weight.transpose(3, 2, 0, 1)), **attributes)
            case Relu() | GlobalAveragePool():
                return self._node(type(layer).__name__, x)
        raise TypeError(f"no ONNX operator for {type(layer).__name__}")

    def _node(self, op_type: str, *inputs: str, **attributes: list[int]) -> str:
        name = f"{op_type}_{len(self.nodes)}"
        node = helper.make_node(op_type, inputs, [f"{name}_output"], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return f"{name}_output"

    def _constants(self, layer: Conv, weight: Array) -> tuple[str, str]:
        prefix = f"layer_{len(self.initializers) // 2}"
        for suffix, value in (("weight", weight), ("bias", layer.bias)):
            array = np.ascontiguousarray(value)
            self.initializers.append(numpy_helper.from_array(array, f"{prefix}_{suffix}"))
        return f"{prefix}_weight", f"{prefix}_bias"


def to_onnx(network: Sequential) -> onnx.ModelProto:
    """Return the network as float ONNX: `image` float32 [N, 1, 8, 8] to `logits` float32 [N, 10]."""
    exporter = _Exporter()
    exporter.emit(network, "image")
    exporter.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        exporter.nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        exporter.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="arrayloom")
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


class _Images:
    """A `CalibrationDataReader`: feeds images [n, 1, 8, 8] to the quantizer one by one."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = ({"image": x[np.newaxis]} for x in inputs)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next feed, or None after the last one."""
        return next(self._feeds, None)


def write_models(network: Sequential, calibration: NDArray[np.float32]) -> None:
    """Write `FLOAT_MODEL`, and `MODEL`, whose ranges are the least and greatest values over `calibration`."""
    onnx.save(to_onnx(network), FLOAT_MODEL)
    quantize_static(
        FLOAT_MODEL,
        MODEL,
        _Images(calibration),
        quant_format=QuantFormat.QOperator,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def write_labels() -> None:
    """Write `LABELS`."""
    LABELS.write_text("".join(f"{digit}\n" for digit in range(CLASSES)))


def write_images(held_out: Split) -> None:
    """Write the first held-out image of each class into `IMAGES`, enlarged for viewing."""
    IMAGES.mkdir(exist_ok=True)
    for label in range(CLASSES):
        place = int(np.flatnonzero(held_out.labels == label)[0])
        picture = np.kron(held_out.pixels[place], np.ones((_ENLARGEMENT, _ENLARGEMENT), np.uint8))
        Image.fromarray(picture).save(IMAGES / f"digit_{label}_{held_out.indices[place]:04d}.png", optimize=True)
