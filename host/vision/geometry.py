"""Where a picture is in a recipe's tensor, and the mapping of boxes from the tensor back to the picture."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Geometry(NamedTuple):
    """Where the whole picture is in a network's input, in pixels of that input.

    ``canvas``: height and width of the input. ``top`` and ``left``: the picture's first row and column, negative if the
    input is a crop of it. ``height`` and ``width``: size of the whole picture after resizing.
    """

    canvas: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def stretched(cls, height: int, width: int) -> Self:
        """A geometry in which the picture fills the input, whatever its aspect ratio."""
        return cls((height, width), 0, 0, height, width)

    def cropped(self, size: int) -> Self:
        """The geometry after `center_crop` to ``size`` x ``size``."""
        top, left = crop_offsets(self.canvas, size)
        return self._replace(canvas=(size, size), top=self.top - top, left=self.left - left)

    @property
    def is_stretched(self) -> bool:
        """Whether the picture fills the input."""
        return self == Geometry.stretched(*self.canvas)

    def undo(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Converts boxes [..., 4] (ymin, xmin, ymax, xmax) from fractions of the input to fractions of the picture.

        If the picture fills the input, they stay the same bit for bit.
        """
        if self.is_stretched:
            return boxes
        rows, columns = self.canvas
        scale = np.array([rows / self.height, columns / self.width] * 2, np.float32)
        offset = np.array([self.top / self.height, self.left / self.width] * 2, np.float32)
        result: NDArray[Any] = boxes * scale - offset
        return result


def crop_offsets(size: tuple[int, ...], crop: int) -> tuple[int, int]:
    """Rows above and columns left of a centre crop; rounded half to even, as torchvision's `CenterCrop` does."""
    top, left = (round((side - crop) / 2) for side in size[:2])
    return top, left
