"""Values that are moved but not yet computed, so that several movements in a row become one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.movement import Indices, Movement, PixelMovement
from arrayloom.compiler.graph import Tensor


@dataclass(frozen=True)
class Moved:
    """A value that holds the elements of an integer tensor in other positions.

    Attributes
    ----------
    source
        The tensor's name.
    index
        For each element, in the value's ONNX shape with a batch of 1, the flat index into the source; negative for `fill`.
    fill
        The byte of padding, None if there is none.
    node
        The last node that moved it.
    parent
        The value that this node reads.
    own
        Like `index`, into the parent.
    """

    source: str
    index: Indices
    fill: int | None
    node: onnx.NodeProto
    parent: str
    own: Indices

    def through(self, index: Indices, padding: int | None, node: onnx.NodeProto, parent: str) -> "Moved":
        """Returns the value after one more node, which takes the elements at `index`; negative ones become `padding`."""
        there = index >= 0
        composed = np.where(there, self.index.ravel()[np.where(there, index, 0)], -1)
        fill = padding if self.fill is None else self.fill
        return Moved(self.source, composed, fill if (composed < 0).any() else None, node, parent, index)

    def moves(self, source: Tensor) -> bool:
        """Whether any element of the source changes its position or is left out."""
        return not np.array_equal(self.index.ravel(), np.arange(np.prod(source.shape)))



@dataclass(frozen=True)
class Plan:
    """How to compute a moved value: the tensor to read, the movement (None for a view), and the [C, H, W] of the result."""

    source: str
    movement: Movement | None
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """The contribution of one movement to a value: elements of `x`, through a lookup table [1, 256] if there is one."""

    x: Tensor
    movement: Movement | PixelMovement
    table: NDArray[Any] | None = None


def image_shape(onnx_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Returns the [C, H, W] of an ONNX shape without batch.

    [F] becomes [F, 1, 1], [C, L] becomes [C, 1, L]; all leading dimensions of longer shapes are merged into C.
    """
    if len(onnx_shape) < 2:
        return (onnx_shape or (1,))[0], 1, 1
    if len(onnx_shape) == 2:
        return onnx_shape[0], 1, onnx_shape[1]
    return int(np.prod(onnx_shape[:-2])), onnx_shape[-2], onnx_shape[-1]
