"""Values that are moved and not yet made: several movements in a row become one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.movement import Indices, Movement, PixelMovement
from arrayloom.compiler.graph import Tensor


@dataclass(frozen=True)
class Moved:
    """A value that holds the elements of an integer tensor in other places.

    Attributes
    ----------
    source
        The tensor's name.
    index
        In the value's ONNX shape (with a batch of 1) the flat index of the source, negative for `fill`.
    fill
        The byte of padding, None where there is none.
    node
        The last of the nodes that moved it.
    parent
        The value that this node reads.
    own
        Like `index`, of the parent.
    """

    source: str
    index: Indices
    fill: int | None
    node: onnx.NodeProto
    parent: str
    own: Indices

    def through(self, index: Indices, padding: int | None, node: onnx.NodeProto, parent: str) -> "Moved":
        """The value after one more node, which takes the elements at `index`, or `padding` where that is negative."""
        there = index >= 0
        composed = np.where(there, self.index.ravel()[np.where(there, index, 0)], -1)
        fill = padding if self.fill is None else self.fill
        return Moved(self.source, composed, fill if (composed < 0).any() else None, node, parent, index)

    def moves(self, source: Tensor) -> bool:
        """Whether any element of the source changes its place or is left out."""
        return not np.array_equal(self.index.ravel(), np.arange(np.prod(source.shape)))



@dataclass(frozen=True)
class Plan:
    """How to make a moved value: the tensor it is made from, the movement or None for a view, the result's [C, H, W]."""

    source: str
    movement: Movement | None
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """What one movement contributes to a value: elements of `x`, through a table [1, 256] where there is one."""

    x: Tensor
    movement: Movement | PixelMovement
    table: NDArray[Any] | None = None


def image_shape(onnx_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The [C, H, W] of an ONNX shape without batch: [F] is [F, 1, 1], [C, L] is [C, 1, L]; longer ones merge into C."""
    if len(onnx_shape) < 2:
        return (onnx_shape or (1,))[0], 1, 1
    if len(onnx_shape) == 2:
        return onnx_shape[0], 1, onnx_shape[1]
    return int(np.prod(onnx_shape[:-2])), onnx_shape[-2], onnx_shape[-1]
