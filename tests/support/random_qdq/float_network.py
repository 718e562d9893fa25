"""A float network under construction, each of whose nodes runs as soon as it is drawn: shapes and ranges are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from networks import Array


class FloatNetwork:
    """Nodes, constants and the value of everything for one random input.

    Attributes
    ----------
    values
        Every value that depends on an input, for that input, [1, ...].
    weights
        Constants that are weights of products, and the axis of their output channels.
    biases
        Constants that are biases of products: by name the activation and the weight of the product.
    loose
        Values that quantizers of every style may leave in float, such as a convolution's before its Relu.
    rounded
        Such values before other functions, which are then to be rounded by the compiler.
    open_batch
        Whether the batch is to be left open.
    prefix
        Put before names of nodes: which part of the network is drawn.
    """

    def __init__(self, rng: np.random.Generator, opset: int) -> None:
        self.rng = rng
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.constants: dict[str, Array] = {}
        self.values: dict[str, Array] = {}
        self.weights: dict[str, int] = {}
        self.biases: dict[str, tuple[str, str]] = {}
        self.loose: set[str] = set()
        self.rounded: set[str] = set()
        self.open_batch = self.chance(0.5)
        self.prefix = ""

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < probability)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of several."""
        return choices[int(self.rng.integers(len(choices)))]

    def count(self, low: int, high: int) -> int:
        """An integer of low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.values[value].shape

    def given(self, name: str, value: Array) -> str:
        """A further input of the network."""
        self.inputs.append(name)
        self.values[name] = value
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A further constant."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def integers(self, *values: int) -> str:
        """A constant of int64 [n]."""
        return self.constant(values, np.int64)

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The result of one more node."""
        return self.split(operator, inputs, 1, **attributes)[0]

    def split(self, operator: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """The results of one more node with several."""
        stem = f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        names = [stem if place == 0 else f"{stem}_{place}" for place in range(count)]
        node = onnx.helper.make_node(operator, list(inputs), names, name=f"{stem}_node", **attributes)
        self.nodes.append(node)
        self.values.update(zip(names, self._run(node), strict=True))
        return names

    def reshape(self, value: str, *extents: int) -> str:
        """A Reshape to [1, *extents]; where nothing else is, the batch is inferred."""
        first = [0] if self.open_batch else [0, 1]
        if -1 not in extents:
            first.append(-1)
        return self.node("Reshape", [value, self.integers(self.pick(first), *extents)])

    def reduce(self, operator: str, value: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """A reduction; axes are an attribute or an operand, as the operator set has it."""
        since = 13 if operator == "ReduceSum" else 18
        if self.opset >= since:
            return self.node(operator, [value, self.integers(*axes)], keepdims=int(keepdims))
        return self.node(operator, [value], axes=list(axes), keepdims=int(keepdims))

    def _run(self, node: onnx.NodeProto) -> list[Array]:
        known = {name: self._value(name) for name in node.input if name}
        kinds = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                 for name, value in known.items()]
        graph = onnx.helper.make_graph([node], "one", kinds, [onnx.ValueInfoProto(name=name) for name in node.output])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return list(session.run(None, known))

    def _value(self, name: str) -> Array:
        return self.values[name] if name in self.values else self.constants[name]
