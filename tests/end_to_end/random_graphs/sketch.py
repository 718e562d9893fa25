"""A graph under construction, with a sample of every value from which the quantization of later ones is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .draw import Array, Draw, byte_range

MICROSOFT = "com.microsoft"
GRAPH_NAME = "random_graph_"  # followed by the seed
IR_VERSION = 8
OPSETS = (14, 17, 19, 21)  # int8 Relu requires 14


@dataclass(frozen=True)
class Value:
    """One quantized tensor of the graph.

    Attributes
    ----------
    name
        Its ONNX name.
    sample
        Its approximate bytes for the sample input, in the ONNX shape without the batch.
    scale, zero
        Its quantization.
    layout
        (C, H, W) of its elements; differs from ``sample.shape`` after a reshape.
    """

    name: str
    sample: Array
    scale: np.float32
    zero: int
    layout: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sample.shape

    @property
    def dtype(self) -> np.dtype:
        return self.sample.dtype

    @property
    def spatial(self) -> int:
        """The number of spatial dimensions for image operators: 0, 1 or 2."""
        return len(self.shape) - 1

    @property
    def is_image(self) -> bool:
        """Whether the elements still have the layout of the ONNX shape."""
        return self.layout == image_layout(self.shape)

    @property
    def real(self) -> Array:
        """The sample dequantized, float64."""
        return (self.sample.astype(np.float64) - self.zero) * np.float64(self.scale)


def image_layout(shape: Sequence[int]) -> tuple[int, int, int]:
    """The layout of a shape: [F] as [F, 1, 1], [C, L] as [C, 1, L], longer shapes with their leading dimensions merged."""
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return prod(shape[:-2]), shape[-2], shape[-1]


class Sketch:
    """Nodes, initializers and values so far.

    ``budget`` limits the multiply-accumulates of one node and ``room`` the elements of one tensor, to keep graphs quick.
    """

    def __init__(self, draw: Draw, budget: int, room: int) -> None:
        self.draw = draw
        self.budget, self.room = budget, room
        self.opset = draw.pick(OPSETS)
        self.batch: int | str = draw.pick([1, "N"])
        self.values: list[Value] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def constant(self, label: str, array: Any) -> str:
        """Adds an initializer and returns its name."""
        name = f"{label}_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def operand(self, value: Value) -> list[str]:
        """The operands of QLinear operators for a value: tensor, scale, zero point."""
        return [value.name, *self.quantization(value.scale, value.zero, value.dtype)]

    def quantization(self, scale: np.float32, zero: int, dtype: np.dtype) -> list[str]:
        return [self.constant("scale", np.float32(scale)), self.constant("zero_point", np.array(zero, dtype))]

    def node(self, operator: str, inputs: Sequence[str], domain: str = "", outputs: int = 1, **attributes: Any) -> str:
        """Adds a node and returns the name of its first output; attributes that are None are left out."""
        name = f"{operator}_{len(self.nodes)}"
        results = [f"{name}_out" if index == 0 else f"{name}_out{index}" for index in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, list(inputs), results, name, domain=domain, **given))
        return results[0]

    def value(self, name: str, sample: Array, scale: np.float32, zero: int,
              layout: tuple[int, int, int] | None = None) -> Value:
        """Records the result of a node; without ``layout`` it is an image."""
        value = Value(name, sample, np.float32(scale), int(zero), layout or image_layout(sample.shape))
        self.values.append(value)
        return value

    def quantized(self, name: str, real: Array, dtype: np.dtype, scale: np.float32, zero: int,
                  layout: tuple[int, int, int] | None = None, zero_inside: bool = False) -> Value:
        """Records a result from its real values, float64; ``zero_inside``: the zero point is added before rounding."""
        steps = real / np.float64(scale)
        rounded = np.rint(steps + zero) if zero_inside else np.rint(steps) + zero
        sample = np.clip(rounded, *byte_range(dtype)).astype(dtype)
        return self.value(name, sample, scale, zero, layout)

    def add_input(self, dtype: np.dtype, shape: Sequence[int]) -> str:
        name = f"input_{len(self.inputs)}"
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, element, [self.batch, *shape]))
        return name

    def add_output(self, name: str, dtype: np.dtype, shape: Sequence[int]) -> None:
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.outputs.append(helper.make_tensor_value_info(name, element, [self.batch, *shape]))

    def read(self) -> set[str]:
        """Names that some node reads."""
        return {name for node in self.nodes for name in node.input}

    def producer(self, value: Value) -> str:
        """The operator that produces a value, skipping Identity; empty for an input."""
        producers = {name: node for node in self.nodes for name in node.output}
        node = producers.get(value.name)
        while node is not None and node.op_type == "Identity":
            node = producers.get(node.input[0])
        return node.op_type if node is not None else ""

    def model(self, seed: int) -> onnx.ModelProto:
        """The nodes that an output depends on, with their initializers, as a model named after its seed."""
        wanted = {value.name for value in self.outputs}
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        inputs = [value for value in self.inputs if value.name in wanted]
        initializers = [tensor for tensor in self._initializers if tensor.name in wanted]
        graph = helper.make_graph(kept[::-1], f"{GRAPH_NAME}{seed}", inputs, self.outputs, initializers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
