"""Operations of attention on the device, and the scratchpad words that they need in addition to their tensors.

Scores: the array holds the queries, which are transposed on the way to the weight FIFO, and the keys are streamed. Mixture:
the array holds the values, and the result of the softmax is streamed after it was transposed in the scratchpad. Softmax and
normalization fill banks of sums, which the POST unit drains like those of a convolution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.attention import ATTENTION, Constant, LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.backend.network_builder import Builder
from arrayloom.compiler.backend.operations import Constants, Operation
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.graph import Graph, Op
from arrayloom.isa.accesses import FLOAT_BYTES
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.instructions import BYTE_VALUES
from arrayloom.isa.instructions import Softmax as SoftmaxInstruction
from arrayloom.isa.layout import to_signed

TURNED = 2      # buffers for the transposed softmax of a head: one is read while the next one is written
MOST_FACTOR = next(spec.high for spec in SoftmaxInstruction.specs() if spec.name == "factor")


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionOperation(Operation):
    """An operation that needs the ATTENTION unit; all zero points are those of signed bytes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ProductOperation(AttentionOperation):
    """A product of two activations for each head: acc = sum of (x - x_zero) * (weight - weight_zero).

    ``weights`` is the tensor that the array holds as weights; x is streamed.
    """

    weights: str
    heads: int
    x_zero: int
    weight_zero: int
    scale: np.float32
    zero_point: int

    @property
    def others(self) -> tuple[str, ...]:
        return (self.weights,)

    @property
    def places_channels(self) -> bool:
        return True


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoresOperation(ProductOperation):
    """The product of keys (x) and queries (weights)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MixtureOperation(ProductOperation):
    """The product of the softmax (x) and values (weights)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftmaxOperation(AttentionOperation):
    """Softmax over each row."""

    table: NDArray[np.float32]
    factor: int
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class NormOperation(AttentionOperation):
    """Normalization over the channels of each pixel."""

    epsilon: int
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    zero_point: int


def lower_scores(builder: Builder, op: Scores) -> None:
    """Appends the step of the scores: the keys are streamed, the queries are weights."""
    builder.step(ScoresOperation(
        weights=builder.network.root(op.a), heads=op.heads, x_zero=op.b_zero - builder.shift(op.b),
        weight_zero=op.a_zero - builder.shift(op.a), scale=op.scale, zero_point=op.y_zero - builder.shift(op.output)),
        op.b, op.output)


def lower_mixture(builder: Builder, op: Mixture) -> None:
    """Appends the step of the mixture: the softmax is streamed, the values are weights."""
    builder.step(MixtureOperation(
        weights=builder.network.root(op.b), heads=op.heads, x_zero=op.a_zero - builder.shift(op.a),
        weight_zero=op.b_zero - builder.shift(op.b), scale=op.scale, zero_point=op.y_zero - builder.shift(op.output)),
        op.a, op.output)


def lower_softmax(builder: Builder, op: Softmax) -> None:
    """Appends the step of a softmax, whose quotients the POST unit requantizes with scale 1."""
    zero = op.y_zero - builder.shift(op.output)
    builder.step(SoftmaxOperation(table=op.table, factor=op.factor, zero_point=zero), op.x, op.output)


def lower_layer_norm(builder: Builder, op: LayerNorm) -> None:
    """Appends the step of a normalization; differences to the mean do not depend on the conversion to signed bytes."""
    builder.step(NormOperation(epsilon=op.epsilon, weight=op.weight, bias=op.bias, scale=op.scale,
                               zero_point=op.y_zero - builder.shift(op.output)), op.x, op.output)


def lower_constant(builder: Builder, op: Constant) -> None:
    """Appends a step that loads constants."""
    builder.step(Constants(values=to_signed(op.values)), op.output, op.output)


def require_attention(graph: Graph, config: Config) -> None:
    """Raises ``UnsupportedError``, which lists each operation of attention that ``config`` cannot execute."""
    found = [Unsupported(op.user_node, op.user_operator, what, reason, remedy)
             for op in graph.ops if isinstance(op, ATTENTION) for what, reason, remedy in _unsupported(graph, op, config)]
    if found:
        raise UnsupportedError(found)


def _unsupported(graph: Graph, op: Op, config: Config) -> Iterator[tuple[str, str, str]]:
    if not config.attention_lanes:
        presets = " or ".join(name for name, each in PRESETS.items() if each.attention_lanes)
        yield "", f"{config.name} has no ATTENTION unit", f"choose a configuration with one, such as {presets}"
        return
    if isinstance(op, Scores | Mixture):
        depth = graph.tensors[op.b].shape[0] // op.heads
        if depth % config.size:
            yield (f"channels of a head = {depth}", f"they must be a multiple of the array's size, {config.size}",
                   "choose a configuration with a smaller array")
    if isinstance(op, Softmax):
        keys = graph.tensors[op.x].shape[2]
        if keys > config.accumulator_depth:
            yield (f"tokens = {keys}", f"a bank of sums of {config.name} holds {config.accumulator_depth}",
                   "choose a configuration with a greater accumulator_depth")
        if op.factor > MOST_FACTOR:
            yield f"1 / y_scale = {op.factor}", f"at most {MOST_FACTOR} steps are possible", "calibrate again"


def turned_blocks(keys: int, size: int) -> int:
    """Returns the number of channel blocks of a transposed softmax, whose channels are the keys."""
    return -(-keys // size)


def room_of(network: Network, step: Step, size: int) -> int:
    """Returns the scratchpad words that a step needs in addition to its tensors: for the table of a softmax, the signs of a
    normalization or the transposed softmax of a mixture."""
    operation = step.operation
    if isinstance(operation, SoftmaxOperation):
        return BYTE_VALUES * FLOAT_BYTES // size
    if isinstance(operation, NormOperation):
        return network.layouts[step.output].blocks
    if isinstance(operation, MixtureOperation):
        queries, _, keys = network.shapes[step.x]
        return TURNED * turned_blocks(keys, size) * -(-queries // size) * size
    return 0
