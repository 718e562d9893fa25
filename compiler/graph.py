"""The integer graph: the border between the front end (ONNX) and the back end (device instructions).

The batch dimension is stripped; every tensor is [C, H, W]. A 2-D ONNX tensor [N, F] is C = F, H = W = 1 and a 3-D one
[N, C, L] is [C, 1, L]. Values are those of the ONNX model (uint8 or int8, not yet flipped to the device's signed form),
`fl` is one rounding to float32, `rne` rounds half to even, and `clamp` saturates to the range of the output's dtype.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.isa.host_parts import HostWork, InsertedRounding, ModelPort
from arrayloom.isa.host_steps import HostStep, Quantize

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Tensor:
    """One integer tensor.

    Attributes
    ----------
    name
        Its value name in `Graph.integer_model`, so that it can be compared with ONNX Runtime.
    shape
        (C, H, W), elements in row-major order.
    dtype
        uint8 or int8.
    onnx_shape
        The shape in ONNX without the batch. Equal to `shape` for images; a flattened tensor keeps the
        (C, H, W) it was made from, because flattening moves nothing.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    onnx_shape: tuple[int, ...]

    @property
    def range(self) -> Pair:
        """Smallest and largest value of the dtype."""
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """One operation.

    Attributes
    ----------
    name, op_type
        Of the node of the integer model that it comes from.
    output
        Name of the tensor it makes.
    user_node, user_operator
        Of the node of the model as given that it stands for; refusals name that one.
    """

    name: str
    op_type: str
    output: str
    user_node: str = ""
    user_operator: str = ""

    operands: ClassVar[tuple[str, ...]] = ("x",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return tuple(getattr(self, operand) for operand in self.operands)


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Op):
    """QLinearConv, QLinearMatMul and QGemm: y = clamp(rne(fl(fl(acc) * scale)) + y_zero).

    acc = sum of (x - x_zero) * weight + bias, exact; positions in the padding contribute nothing. A matrix product over
    a flattened [C, H, W] tensor is a convolution whose kernel is H x W.
    """

    x: str
    weight: NDArray[np.int16]  # [M, C / group, kh, kw], the weight's zero point subtracted, -255..255
    bias: NDArray[np.int32]  # [M], zeros where the model has none
    x_zero: int
    scale: NDArray[np.float32]  # [M], fl(fl(x_scale * w_scale) / y_scale)
    y_zero: int
    strides: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilations: Pair = (1, 1)
    group: int = 1

    @property
    def kernel(self) -> Pair:
        """Kernel height and width."""
        return self.weight.shape[2], self.weight.shape[3]


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Op):
    """QLinearAdd of two tensors of one shape: y = clamp(rne(fma(a, a_ratio, fma(b, b_ratio, offset)))).

    `fma` rounds once to float32; a and b are raw values, zero points are inside `offset`.
    """

    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a: str
    b: str
    a_ratio: np.float32  # fl(a_scale / y_scale)
    b_ratio: np.float32  # fl(b_scale / y_scale)
    offset: np.float32  # fl(y_zero - fma(a_ratio, a_zero, fl(b_ratio * b_zero)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul(Op):
    """QLinearMul of two tensors of one shape: y = clamp(rne(fl(fl((a - a_zero) * (b - b_zero) * scale) + y_zero))).

    The product of the two bytes is exact; unlike elsewhere, the zero point is added before rounding to an integer.
    """

    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a: str
    b: str
    a_zero: int
    b_zero: int
    scale: np.float32  # fl(fl(a_scale * b_scale) / y_scale)
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Op):
    """Largest value of each window; positions in the padding are ignored and no window lies wholly in it.

    The output's extent is the output tensor's (`ceil_mode` and `auto_pad` are resolved), so the last window may reach
    beyond the padding given here.
    """

    x: str
    kernel: Pair
    strides: Pair
    pads: Pads
    dilations: Pair = (1, 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class SumPool(Op):
    """Mean over H x W of each channel: acc = sum of (x - x_zero); y = clamp(rne(fl(fl(acc) * scale)) + y_zero)."""

    x: str
    scale: np.float32  # fl(x_scale / fl(y_scale * fl(H * W)))
    x_zero: int
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool(Op):
    """QLinearAveragePool: y = clamp(rne(fl(fl(fl(S / n) / y_scale) + y_zero))).

    S = float32 sum, in raster order, of fl(x_scale * (x - x_zero)) over the window's elements that are not padding;
    n = their number, or kh * kw with `count_include_pad`.
    """

    x: str
    kernel: Pair
    strides: Pair
    pads: Pads
    count_include_pad: bool
    x_scale: np.float32
    x_zero: int
    y_scale: np.float32
    y_zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Op):
    """Inputs one after the other along the channels, each through its own table."""

    xs: tuple[str, ...]
    tables: NDArray[np.generic]  # [len(xs), 256], indexed by the raw byte 0..255, in the output's dtype

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read, in the order of their channels."""
        return self.xs


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup(Op):
    """A function of each element: y = table[channel or 0][raw byte of x as 0..255]."""

    x: str
    table: NDArray[np.generic]  # [1 or C, 256] in the output's dtype


@dataclass(frozen=True, eq=False, kw_only=True)
class BinaryLookup(Op):
    """A function of two elements: y = table[raw byte of a as 0..255][raw byte of b as 0..255]; all of one shape."""

    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a: str
    b: str
    table: NDArray[np.generic]  # [256, 256] in the output's dtype


@dataclass(frozen=True, eq=False, kw_only=True)
class Clamp(Op):
    """Relu or Clip between quantized tensors: y = min(max(x, lo), hi) on raw values."""

    x: str
    lo: int
    hi: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Move(Op):
    """Slice, Pad, Resize, Expand and their compositions with a function of an element.

    y[c, i, j] = table[c or 0][raw byte of x[channels[c], rows[i], columns[j]]], or `fill` where one of the three is -1.
    With `swapped` a row of y comes from a column of x: x[channels[c], columns[j], rows[i]].
    """

    x: str
    channels: NDArray[np.int32]  # [C of the output], source channel or -1
    rows: NDArray[np.int32]  # [H of the output], likewise
    columns: NDArray[np.int32]  # [W of the output], likewise
    table: NDArray[np.generic]  # [1 or C, 256] in the output's dtype
    fill: int  # raw value of the output
    swapped: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class MovePixels(Op):
    """A movement of whole pixels to any places, such as a reshape of [H, W].

    y[c, i, j] = table[c or 0][raw byte of channel channels[c] of x at pixel places[i, j]], pixels being counted row by row,
    or `fill` where one of the two is -1.
    """

    x: str
    channels: NDArray[np.int32]  # [C of the output], source channel or -1
    places: NDArray[np.int32]  # [H, W of the output], source pixel or -1
    table: NDArray[np.generic]  # [1 or C, 256] in the output's dtype
    fill: int  # raw value of the output


@dataclass(frozen=True, eq=False, kw_only=True)
class View(Op):
    """The same elements under another ONNX shape (Flatten, Reshape, Squeeze, Identity): nothing is computed."""

    x: str


@dataclass(frozen=True)
class GraphInput:
    """One input of the model: with `quantize` the host makes the tensor of a float32 array, else the input is the tensor.

    Attributes
    ----------
    name, shape, dtype
        Those of the model's input, the shape without the batch.
    tensor
        The integer tensor that is made.
    quantize
        How the host quantizes a float32 input.
    moves
        Transposes and reshapes that the host applies before it quantizes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    tensor: str
    quantize: Quantize | None = None
    moves: tuple[HostStep, ...] = ()


@dataclass(frozen=True)
class GraphOutput:
    """One output of the model: the integer tensor it comes from and the steps the host applies to it, in order."""

    name: str
    tensor: str
    tail: tuple[HostStep, ...] = ()


@dataclass
class Graph:
    """An integer graph; `ops` are in topological order.

    Attributes
    ----------
    integer_model
        The ONNX model whose values the tensors are, runnable in ONNX Runtime.
    notes
        Sentences for the user about what the import decided (a bias quantized here, a batch made symbolic), and
        each notice after the word `notice`.
    notices
        Sentences that every output about the model repeats, such as that its weights are random.
    labels
        Names of the classes that the model's metadata hold, in order; empty where there are none.
    model_inputs, model_outputs
        Those of the user's model, in its order. Without a head and a tail on the host they
        are those of `inputs` and `outputs`.
    host
        What the host computes in float before `inputs` and after `outputs`.
    inserted_roundings
        Values that the user's model has in float and that are quantized here.
    """

    tensors: dict[str, Tensor]
    ops: list[Op]
    inputs: list[GraphInput]
    outputs: list[GraphOutput]
    integer_model: onnx.ModelProto
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    model_inputs: list[ModelPort] = field(default_factory=list)
    model_outputs: list[ModelPort] = field(default_factory=list)
    host: HostWork = field(default_factory=HostWork)
    inserted_roundings: list[InsertedRounding] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    for given in graph.inputs:
        quantize = f" quantize({_fields(given.quantize, 'dtype')})" if given.quantize else ""
        moves = "".join(f" {type(step).__name__}({_fields(step)})" for step in given.moves)
        yield f"input {given.name} {given.dtype}{list(given.shape)}{moves}{quantize} -> {given.tensor}"
    for op in graph.ops:
        target = f"{op.output}: {graph.tensors[op.output]}"
        yield f"{target} = {type(op).__name__}({_arguments(op)})  # {op.op_type} {op.name}"
    for result in graph.outputs:
        steps = [f"{type(step).__name__}({_fields(step)})" for step in result.tail]
        yield f"output {result.name} <- {' -> '.join([result.tensor, *steps])}"


def _arguments(op: Op) -> str:
    of_all = [f.name for f in fields(Op)]
    return ", ".join([*op.inputs, _fields(op, *of_all, "xs", *op.operands)]).removesuffix(", ")


def _fields(item: Op | HostStep, *without: str) -> str:
    return ", ".join(f"{f.name}={_value(getattr(item, f.name))}" for f in fields(item) if f.name not in without)


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, float | np.floating):
        return f"{value:.9g}"
    return str(value).replace(" ", "")
