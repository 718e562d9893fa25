"""The network in the form of the device: steps on tensors of signed bytes.

A step is one operation (on the array, or of the POST unit alone) and the epilogue that the POST unit applies to its
result on the way to the scratchpad. Unsigned tensors are stored as x - 128, and their zero points are shifted likewise.
"""

from dataclasses import dataclass, field, replace
from typing import Self

from arrayloom.compiler.backend.epilogue import Epilogue
from arrayloom.compiler.backend.operations import Constants, Convolution, Operation, Pair
from arrayloom.compiler.graph import GraphInput, GraphOutput
from arrayloom.isa.layout import Layout, Packing
from arrayloom.isa.program import Probe


@dataclass(frozen=True, eq=False)
class Step:
    """One step: an operation and its epilogue.

    Attributes
    ----------
    operation, epilogue
        What is computed.
    x
        The tensor that the operation reads.
    output
        The tensor that the step computes.
    sources
        Indices of the operations of the graph that it executes.
    probes
        Tensors of the graph whose bytes are those of ``output``, or of the step's result at an earlier stage.
    """

    operation: Operation
    x: str
    output: str
    sources: tuple[int, ...]
    epilogue: Epilogue = field(default_factory=Epilogue)
    probes: tuple[Probe, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        residual = self.epilogue.residual
        if isinstance(self.operation, Constants):
            return ()
        return (self.x, *self.operation.others, *((residual.tensor,) if residual else ()))

    @property
    def on_array(self) -> bool:
        return isinstance(self.operation, Convolution)

    def shown_as(self, tensor: str) -> Self:
        """Returns the step with a probe that shows its result as ``tensor``."""
        return replace(self, probes=(*self.probes, Probe(tensor, self.epilogue.stage)))

    def __str__(self) -> str:
        own = f"{self.output} = {type(self.operation).__name__.lower()}({self.x})"
        return " | ".join(part for part in (own, str(self.epilogue)) if part)


@dataclass
class Network:
    """Steps in topological order, and the tensors between them.

    Attributes
    ----------
    shapes, dtypes
        (C, H, W) of all tensors, those of the graph and additional ones; dtypes of the graph's tensors in the model.
    inputs, outputs, features
        Those of the graph; ``features`` is the name of the tensor that the classifier reads, if any.
    steps
        The steps.
    concats
        Stored concatenations, each with its parts in order.
    parts
        Tensors that are stored as part of a concatenation: its name and their position in it.
    aliases
        Other names of stored tensors.
    virtual_concats
        Concatenations that are not stored, each with its members in order; a step that reads one reads its members.
    gathered
        Virtual concatenations that convolutions read, by the name of the concatenation in the graph.
    scales
        For each of these, how often rows and columns of each member are repeated.
    slices
        Tensors that are not stored, each with the stored tensors that hold its channels in order.
    folds
        Pixels in a word of folded tensors; ``shapes`` has their folded shapes.
    packings
        Packings of network inputs.
    layouts
        Layouts of all tensors, once they are assigned.
    """

    shapes: dict[str, tuple[int, int, int]]
    dtypes: dict[str, str]
    inputs: list[GraphInput]
    outputs: list[GraphOutput]
    features: str | None
    steps: list[Step] = field(default_factory=list)
    concats: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, tuple[str, int]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    virtual_concats: dict[str, list[str]] = field(default_factory=dict)
    gathered: dict[str, str] = field(default_factory=dict)
    scales: dict[str, tuple[Pair, ...]] = field(default_factory=dict)
    slices: dict[str, list[str]] = field(default_factory=dict)
    folds: dict[str, int] = field(default_factory=dict)
    packings: dict[str, Packing] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)

    def intermediate(self, name: str, shape: tuple[int, int, int]) -> str:
        """Adds a tensor that the graph does not have; returns its name, which is ``name`` unless that is taken."""
        while name in self.shapes:
            name += "'"
        self.shapes[name] = shape
        return name

    def root(self, name: str) -> str:
        """Returns the stored tensor that ``name`` is an alias of, or ``name`` itself."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def members(self, name: str) -> list[str]:
        """Returns the stored tensors that ``name`` consists of: itself, or the members of a virtual concatenation."""
        return self.virtual_concats.get(name, [name])

    def reads(self, step: Step) -> list[str]:
        """Returns the stored tensors that a step reads."""
        return [member for name in step.inputs for member in self.members(name)]

    def kept(self) -> set[str]:
        """Returns the tensors that are stored to memory as outputs or features, and so must exist."""
        names = {self.root(port.tensor) for port in self.outputs}
        return names | ({self.features} if self.features else set())

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps)) + "\n"
