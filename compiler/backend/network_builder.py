"""Builds a network: steps on signed bytes, and tensors that the graph does not have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.epilogue import Epilogue, LookupTable, is_identity, signed_lookup_table
from arrayloom.compiler.backend.features import find_features
from arrayloom.compiler.backend.operations import Operation
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.backend.virtual_concat import find_virtual_concats
from arrayloom.compiler.graph import Graph


class Builder:
    """A network that is being built from a graph; ``index`` is the index of the operation that is being lowered."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.index = 0
        self.network = Network(
            shapes={name: tensor.shape for name, tensor in graph.tensors.items()},
            dtypes={name: tensor.dtype.name for name, tensor in graph.tensors.items()},
            inputs=graph.inputs, outputs=graph.outputs, features=find_features(graph))
        kept = {port.tensor for port in graph.outputs} | {self.network.features or ""}
        self.virtual_concats = find_virtual_concats(graph, kept)

    def shift(self, name: str) -> int:
        """Returns what is subtracted from a tensor's raw bytes to make them signed: 128 or 0."""
        return 128 if self.graph.tensors[name].dtype == np.uint8 else 0

    def step(self, operation: Operation, x: str, output: str, epilogue: Epilogue | None = None,
             sources: tuple[int, ...] = ()) -> None:
        """Appends a step that computes ``output``, a tensor of the graph or one made by ``intermediate``.

        ``sources`` are the indices of operations that it executes in addition to the current one.
        """
        step = Step(operation, self.network.root(x), output, (*sources, self.index), epilogue or Epilogue())
        self.network.steps.append(step.shown_as(output) if output in self.graph.tensors else step)

    def intermediate(self, name: str, shape: tuple[int, int, int]) -> str:
        """Adds a tensor that the graph does not have; returns its name, which is ``name`` unless that is taken."""
        return self.network.intermediate(name, shape)

    def lookup_table(self, table: NDArray[Any], x: str) -> LookupTable | None:
        """Converts a table indexed by the raw bytes of ``x`` to signed bytes; returns None if it changes nothing."""
        signed = signed_lookup_table(table, self.graph.tensors[x].dtype)
        return None if is_identity(signed) else signed
