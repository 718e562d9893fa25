"""The network as the device sees it: steps over tensors of signed bytes.

A step is one operation (on the array, or of the POST unit alone) and what the POST unit does to its result on the way
to the scratchpad: a clamp, then a residual add with a clamp of its own, then a table. Unsigned tensors are
stored as x - 128, zero points likewise.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.graph import GraphInput, GraphOutput
from arrayloom.isa.layout import Layout, Packing
from arrayloom.isa.program import Stage

Pair = tuple[int, int]
Table = NDArray[np.int8]    # [1 or C, 256]: what signed byte i - 128 becomes

LOW, HIGH = -128, 127


@dataclass(frozen=True)
class Taps:
    """A sliding window; each pair is (vertical, horizontal), ``origin`` the source position of output 0 at tap 0."""

    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    origin: Pair = (0, 0)
    dilations: Pair = (1, 1)

    def source_rows(self, first: int, last: int, height: int) -> Pair:
        """Rows [low, high) of a source of ``height`` that output rows [first, last) read; low = high for none."""
        low = self.origin[0] + first * self.strides[0]
        high = self.origin[0] + (last - 1) * self.strides[0] + (self.kernel[0] - 1) * self.dilations[0] + 1
        low, high = min(max(low, 0), height), min(max(high, 0), height)
        return low, max(low, high)


@dataclass(frozen=True, eq=False)
class Operation:
    """What makes a step's own bytes, before clamp, add and table."""

    taps: Taps = field(default_factory=Taps)

    def source_rows(self, first: int, last: int, height: int) -> Pair:
        """Rows [low, high) of a source of ``height`` that output rows [first, last) read; low = high for none."""
        return self.taps.source_rows(first, last, height)

    def most_source_rows(self, rows: int, height: int) -> int:
        """The most rows of a source of ``height`` that ``rows`` adjacent output rows read."""
        taps = self.taps
        return min(height, (rows - 1) * taps.strides[0] + (taps.kernel[0] - 1) * taps.dilations[0] + 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Operation):
    """acc = sum of weight * x + bias, with ``padding`` outside x; then requantized by ``scale`` and ``zero_point``."""

    weight: NDArray[np.int16]   # [M, C / group, kh, kw], -255..255
    bias: NDArray[np.int32]     # [M], with the zero point of x folded in
    scale: NDArray[np.float32]  # [M]
    padding: int
    zero_point: int
    group: int = 1
    selection: bool = False     # a 0/1 matrix that moves channels: most of its tiles are zero and left out


@dataclass(frozen=True, eq=False, kw_only=True)
class Rearrangement(Convolution):
    """A selection whose rows and columns come from any places of the source, -1 for ``padding``.

    With ``swapped``, places of rows are columns of the source and the other way round.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    swapped: bool = False

    def source_rows(self, first: int, last: int, height: int) -> Pair:  # noqa: ARG002
        places = self.columns if self.swapped else self.rows[first:last]
        there = places[places >= 0]
        return (int(there.min()), int(there.max()) + 1) if there.size else (0, 0)

    def most_source_rows(self, rows: int, height: int) -> int:
        starts = range(1 if self.swapped else len(self.rows) - rows + 1)
        return max(1, *(high - low for low, high in (self.source_rows(i, i + rows, height) for i in starts)))


@dataclass(frozen=True, eq=False)
class Copy(Operation):
    """The bytes of x as they are."""


@dataclass(frozen=True, eq=False)
class Maximum(Operation):
    """The largest byte of each window; positions outside x do not take part."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Operation):
    """acc = sum of each window + bias, requantized by one scale."""

    bias: int
    scale: np.float32
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Average(Operation):
    """The ordered float32 average of QLinearAveragePool; all zero points in the signed domain."""

    x_scale: np.float32
    x_zero: int
    y_scale: np.float32
    y_zero: int
    unsigned: bool              # the model's output is uint8
    count_include_pad: bool


@dataclass(frozen=True)
class AddConstants:
    """Constants of the residual add, or of the product in its place, as the instruction holds them."""

    ratio_a: int
    ratio_b: int
    add_offset: int
    a_offset: int
    b_offset: int
    sum_offset: int
    multiply: int = 0
    product_zero: int = 0


@dataclass(frozen=True)
class Residual:
    """The second operand of an add; with ``swap`` it is the one that ``ratio_a`` belongs to."""

    tensor: str
    swap: bool
    constants: AddConstants
    low: int = LOW
    high: int = HIGH


@dataclass(frozen=True)
class Trace:
    """After ``stage`` of the step, its bytes are those of ``tensor``."""

    tensor: str
    stage: Stage


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of the POST unit over ``output``; ``sources``: indices of the graph's operations it stands for."""

    operation: Operation
    x: str
    output: str
    sources: tuple[int, ...]
    low: int = LOW
    high: int = HIGH
    residual: Residual | None = None
    table: Table | None = None
    traces: tuple[Trace, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x, self.residual.tensor) if self.residual else (self.x,)

    @property
    def final_stage(self) -> Stage:
        if self.table is not None:
            return Stage.TABLE
        return Stage.SUM if self.residual else Stage.OWN

    @property
    def on_array(self) -> bool:
        return isinstance(self.operation, Convolution)

    @property
    def per_channel_table(self) -> bool:
        return self.table is not None and len(self.table) > 1

    def traced(self, tensor: str) -> Self:
        """The step, with its result known as ``tensor``."""
        return replace(self, traces=(*self.traces, Trace(tensor, self.final_stage)))

    def __str__(self) -> str:
        parts = [f"{self.output} = {type(self.operation).__name__.lower()}({self.x})"]
        if (self.low, self.high) != (LOW, HIGH):
            parts.append(f"clamp {self.low}..{self.high}")
        if self.residual:
            parts.append(f"add {self.residual.tensor}")
        if self.table is not None:
            parts.append("table per channel" if self.per_channel_table else "table")
        return " | ".join(parts)


@dataclass
class Network:
    """Steps in an order that respects their inputs.

    ``shapes``: (C, H, W) of every tensor, those of the graph and ours; ``parts``: tensors that are stored as part of a
    concatenation, with the concatenation and their place in it; ``aliases``: other names of stored tensors;
    ``gathers``: tensors that are not stored: a step that copies one reads its members, one behind the other.
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
    gathers: dict[str, list[str]] = field(default_factory=dict)
    packings: dict[str, Packing] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)

    def root(self, name: str) -> str:
        """The tensor that ``name`` is another name of."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def members(self, name: str) -> list[str]:
        """The stored tensors that ``name`` consists of: itself, or what is gathered under that name."""
        return self.gathers.get(name, [name])

    def reads(self, step: Step) -> list[str]:
        """The stored tensors that a step reads."""
        return [member for name in step.inputs for member in self.members(name)]

    def kept(self) -> set[str]:
        """Tensors that leave the device, and so must exist as such."""
        names = {self.root(port.tensor) for port in self.outputs}
        return names | ({self.features} if self.features else set())

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps)) + "\n"
