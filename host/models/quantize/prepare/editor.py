"""A float network being rewritten: who makes and reads each value, and its constants."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Floats = NDArray[np.float64]


class GraphEditor:
    """Edits a model in place."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        graph = model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def array(self, name: str) -> Floats:
        """A constant in float64."""
        return numpy_helper.to_array(self.constants[name]).astype(np.float64)

    def add(self, name: str, value: Floats) -> str:
        """A new float32 initializer; its name."""
        while name in self.constants or name in self.producers:
            name += "_folded"
        tensor = numpy_helper.from_array(value.astype(np.float32), name)
        self.model.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The node that alone reads a value; None where there are others, or it is an output."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def bypass(self, node: onnx.NodeProto) -> None:
        """Remove a node; its readers read its first input."""
        for reader in self.readers.get(node.output[0], []):
            reader.input[:] = [node.input[0] if name == node.output[0] else name for name in reader.input]
        self.readers[node.input[0]] = [r for r in self.readers[node.input[0]] if r is not node] + self.readers.pop(
            node.output[0], [])
        self.model.graph.node.remove(node)
