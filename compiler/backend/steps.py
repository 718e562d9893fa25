"""The network as the device sees it: steps over tensors of signed bytes.

A step is one operation (on the array, or of the POST unit alone) and the epilogue that the POST unit applies to its
result on the way to the scratchpad. Unsigned tensors are stored as x - 128, zero points likewise.
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
    """One pass of the POST unit over ``output``.

    ``sources``: indices of the graph's operations it stands for; ``probes``: the tensors of the graph whose bytes are
    those of ``output``, or of the step's result at an earlier stage.
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
        """The step, with its result known as ``tensor``."""
        return replace(self, probes=(*self.probes, Probe(tensor, self.epilogue.stage)))

    def __str__(self) -> str:
        own = f"{self.output} = {type(self.operation).__name__.lower()}({self.x})"
        return " | ".join(part for part in (own, str(self.epilogue)) if part)


@dataclass
class Network:
    """Steps in an order that respects their inputs.

    ``shapes``: (C, H, W) of every tensor, those of the graph and ours; ``parts``: tensors that are stored as part of a
    concatenation, with the concatenation and their place in it; ``aliases``: other names of stored tensors;
    ``virtual_concats``: concatenations that are not stored, with their members in order: a step that copies one reads
    its members; ``gathered``: those among them that convolutions read, by the concatenation of the graph; ``scales``: how
    often each row and column of each member of these is repeated; ``slices``: tensors that are not stored, with those that
    hold their channels one after the other; ``folds``: how many pixels a word holds of folded tensors, whose shapes are
    those that ``fold`` gives them.
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
        """The name of a tensor that the graph does not have."""
        while name in self.shapes:
            name += "'"
        self.shapes[name] = shape
        return name

    def root(self, name: str) -> str:
        """The tensor that ``name`` is another name of."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def members(self, name: str) -> list[str]:
        """The stored tensors that ``name`` consists of: itself, or the members of a virtual concatenation."""
        return self.virtual_concats.get(name, [name])

    def reads(self, step: Step) -> list[str]:
        """The stored tensors that a step reads."""
        return [member for name in step.inputs for member in self.members(name)]

    def kept(self) -> set[str]:
        """Tensors that leave the device, and so must exist as such."""
        names = {self.root(port.tensor) for port in self.outputs}
        return names | ({self.features} if self.features else set())

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps)) + "\n"
