"""A float network under construction; each node runs as soon as it is drawn, so shapes and ranges are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from networks import Array


class FloatNetwork:
    """Nodes, constants and all values for one random input.

    Attributes
    ----------
    values
        Every value that depends on an input, for the random input, [1, ...].
    weights
        Constants that are weights of products, and the axis of their output channels.
    biases
        Constants that are biases of products, with the names of the product's activation and weight.
    loose
        Values that quantizers of every style may leave in float, such as that between a convolution and its Relu.
    rounded
        Such values before other functions, which the compiler must round.
    open_batch
        Whether the batch dimension is left open.
    prefix
        A prefix for names of nodes that identifies the part of the network being drawn.
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
        """An integer from low to high, inclusive."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.values[value].shape

    def given(self, name: str, value: Array) -> str:
        """Adds an input to the network."""
        self.inputs.append(name)
        self.values[name] = value
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Adds a constant."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def integers(self, *values: int) -> str:
        """Adds an int64 constant [n]."""
        return self.constant(values, np.int64)

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node; returns its result."""
        return self.split(operator, inputs, 1, **attributes)[0]

    def split(self, operator: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs; returns its results."""
        stem = f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        names = [stem if place == 0 else f"{stem}_{place}" for place in range(count)]
        node = onnx.helper.make_node(operator, list(inputs), names, name=f"{stem}_node", **attributes)
        self.nodes.append(node)
        self.values.update(zip(names, self._run(node), strict=True))
        return names

    def reshape(self, value: str, *extents: int) -> str:
        """A Reshape to [1, *extents]; sometimes the batch is inferred, if no extent is."""
        first = [0] if self.open_batch else [0, 1]
        if -1 not in extents:
            first.append(-1)
        return self.node("Reshape", [value, self.integers(self.pick(first), *extents)])

    def reduce(self, operator: str, value: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """A reduction; axes are an attribute or an operand, depending on the operator set."""
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
