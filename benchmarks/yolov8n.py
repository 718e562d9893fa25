"""Runs YOLOv8n on the RTL: built with seeded random weights, quantized on a picture and verified on it.

The network is that of Ultralytics' yolov8.yaml at scale n (width 0.25, depth 0.33), as its ONNX export has it. With
random weights, cycles and exactness are meaningful, but boxes are not; ``arrayloom score OUT.onnx PICTURE --preprocess yolo
--draw DIR`` draws those of the quantized network.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from arrayloom.host.models.quantize import Calibration, quantize
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.outputs import save_model
from arrayloom.host.runtime.verify import verify
from arrayloom.isa.config import load_config
from arrayloom.isa.host_parts import ModelPort
from benchmarks.command import SUCCESS, parser_of, run
from benchmarks.output import deliver

STRIDES = (8, 16, 32)
BINS = 16       # bins of the distribution of each side's distance
GAIN = 1.9      # gain of the weights' variance that keeps values from vanishing or growing through SiLU


class YoloV8n:
    """The network under construction; ``size`` is the side of its square input."""

    def __init__(self, size: int, classes: int, seed: int) -> None:
        self.size, self.classes = size, classes
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        """float32 [1, 3, size, size] to [1, 4 + classes, anchors]: centres and sizes in pixels, and probabilities."""
        output = self._detect(self._backbone_and_neck("images"))
        anchors = sum((self.size // stride) ** 2 for stride in STRIDES)
        graph = helper.make_graph(
            self.nodes, "yolov8n",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, self.size, self.size])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 4 + self.classes, anchors])], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _node(self, operator: str, inputs: list[str], count: int = 1, **attributes: Any) -> Any:
        outputs = [f"{operator.lower()}_{len(self.nodes)}_{index}" for index in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, outputs, f"{operator}_{len(self.nodes)}", **attributes))
        return outputs[0] if count == 1 else outputs

    def _constant(self, value: Any) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _plain(self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> str:
        deviation = np.sqrt(GAIN / (inputs * kernel * kernel))
        weight = self.random.normal(0, deviation, (outputs, inputs, kernel, kernel)).astype(np.float32)
        bias = self.random.normal(0, 0.1, outputs).astype(np.float32)
        return str(self._node("Conv", [x, self._constant(weight), self._constant(bias)], strides=[stride] * 2,
                              pads=[kernel // 2] * 4))

    def _conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> str:
        y = self._plain(x, inputs, outputs, kernel, stride)
        return str(self._node("Mul", [y, self._node("Sigmoid", [y])]))

    def _c2f(self, x: str, inputs: int, outputs: int, depth: int, shortcut: bool) -> str:
        half = outputs // 2
        parts = self._node("Split", [self._conv(x, inputs, outputs), self._constant(np.array([half, half]))], 2, axis=1)
        for _ in range(depth):
            y = self._conv(self._conv(parts[-1], half, half, 3), half, half, 3)
            parts = [*parts, self._node("Add", [parts[-1], y]) if shortcut else y]
        return self._conv(self._node("Concat", parts, axis=1), half * len(parts), outputs)

    def _pyramid_pooling(self, x: str, channels: int) -> str:
        parts = [self._conv(x, channels, channels // 2)]
        for _ in range(3):
            parts.append(self._node("MaxPool", [parts[-1]], kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1]))
        return self._conv(self._node("Concat", parts, axis=1), 2 * channels, channels)

    def _enlarged(self, x: str) -> str:
        return str(self._node("Resize", [x, "", self._constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
                              coordinate_transformation_mode="asymmetric", nearest_mode="floor"))

    def _backbone_and_neck(self, x: str) -> list[tuple[str, int]]:
        """The maps of the three strides, with their channels."""
        x = self._c2f(self._conv(self._conv(x, 3, 16, 3, 2), 16, 32, 3, 2), 32, 32, 1, shortcut=True)
        eighth = self._c2f(self._conv(x, 32, 64, 3, 2), 64, 64, 2, shortcut=True)
        sixteenth = self._c2f(self._conv(eighth, 64, 128, 3, 2), 128, 128, 2, shortcut=True)
        x = self._c2f(self._conv(sixteenth, 128, 256, 3, 2), 256, 256, 1, shortcut=True)
        deepest = self._pyramid_pooling(x, 256)
        middle = self._c2f(self._joined(self._enlarged(deepest), sixteenth), 384, 128, 1, shortcut=False)
        fine = self._c2f(self._joined(self._enlarged(middle), eighth), 192, 64, 1, shortcut=False)
        middle = self._c2f(self._joined(self._conv(fine, 64, 64, 3, 2), middle), 192, 128, 1, shortcut=False)
        coarse = self._c2f(self._joined(self._conv(middle, 128, 128, 3, 2), deepest), 384, 256, 1, shortcut=False)
        return [(fine, 64), (middle, 128), (coarse, 256)]

    def _joined(self, *parts: str) -> str:
        return str(self._node("Concat", list(parts), axis=1))

    def _detect(self, maps: list[tuple[str, int]]) -> str:
        width = max(64, min(self.classes, 100))
        boxes, scores = [], []
        for x, channels in maps:
            distances = self._plain(self._conv(self._conv(x, channels, 64, 3), 64, 64, 3), 64, 4 * BINS)
            logits = self._plain(self._conv(self._conv(x, channels, width, 3), width, width, 3), width, self.classes)
            boxes.append(self._node("Reshape", [distances, self._constant(np.array([1, 4 * BINS, -1]))]))
            scores.append(self._node("Reshape", [logits, self._constant(np.array([1, self.classes, -1]))]))
        probabilities = self._node("Sigmoid", [self._node("Concat", scores, axis=2)])
        return self._joined(self._boxes(self._node("Concat", boxes, axis=2)), str(probabilities))

    def _boxes(self, distances: str) -> str:
        """Distances of the four sides from each anchor, the means of distributions over bins, to centres and sizes."""
        points, strides = self._anchors()
        x = self._node("Reshape", [distances, self._constant(np.array([1, 4, BINS, points.shape[1]]))])
        x = self._node("Softmax", [self._node("Transpose", [x], perm=[0, 2, 1, 3])], axis=1)
        bins = np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1)
        x = self._node("Reshape", [self._node("Conv", [x, self._constant(bins)]),
                                   self._constant(np.array([1, 4, points.shape[1]]))])
        before, after = self._node("Split", [x, self._constant(np.array([2, 2]))], 2, axis=1)
        grid = self._constant(points[np.newaxis])
        low, high = self._node("Sub", [grid, before]), self._node("Add", [grid, after])
        centre = self._node("Div", [self._node("Add", [low, high]), self._constant(np.float32(2))])
        boxes = self._node("Concat", [centre, self._node("Sub", [high, low])], axis=1)
        return str(self._node("Mul", [boxes, self._constant(strides[np.newaxis])]))

    def _anchors(self) -> tuple[np.ndarray, np.ndarray]:
        """float32 [2, anchors], the centres of cells in cells, x before y; float32 [1, anchors], the strides."""
        points, strides = [], []
        for stride in STRIDES:
            cells = np.arange(self.size // stride, dtype=np.float32) + 0.5
            y, x = np.meshgrid(cells, cells, indexing="ij")
            points.append(np.stack([x.ravel(), y.ravel()]))
            strides.append(np.full((1, x.size), stride, np.float32))
        return np.concatenate(points, axis=1), np.concatenate(strides, axis=1)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Quantizes the network on the picture and verifies it; the quantized network stays in ``--output``."""
    network = YoloV8n(options.size, options.classes, options.seed).model()
    port = ModelPort("images", (3, options.size, options.size), "float32")
    inputs = load_inputs(options.input, [port], "yolo")
    quantized = quantize(network, Calibration.from_arrays(inputs))
    save_model(quantized.model, options.output)
    verdict = verify(quantized.model, inputs, load_config(options.config))
    return {"network": f"yolov8n {options.size}x{options.size}", "config": options.config, "host": verdict.host.to_json(),
            "bytes_compared": verdict.bytes_compared, "bytes_differing": verdict.bytes_differing,
            "host_bytes_differing": verdict.host_bytes_differing, **verdict.report.figures()}


def main() -> int:
    parser = parser_of("benchmarks.yolov8n", __doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="PICTURE")
    parser.add_argument("--config", default="32x32", metavar="PRESET")
    parser.add_argument("--size", type=int, default=640, metavar="PIXELS", help="a multiple of 32 (default %(default)s)")
    parser.add_argument("--classes", type=int, default=80, metavar="N", help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the weights (default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("yolov8n_int8.onnx"), metavar="OUT.onnx",
                        help="file for the quantized network (default %(default)s)")
    return run(parser, _run)


def _run(options: argparse.Namespace) -> int:
    figures = measure(options)
    if deliver(options, figures):
        print(_line(figures))
    return SUCCESS


def _line(figures: dict[str, Any]) -> str:
    share = figures["host"]["share"]
    return (f"{figures['network']} on {figures['config']}: {figures['cycles']:,} cycles, utilization "
            f"{figures['utilization']:.1%}, {figures['bytes_differing']} of {figures['bytes_compared']:,} bytes differ, "
            f"{share:.2%} of the multiply-accumulates on the host")


if __name__ == "__main__":
    sys.exit(main())
