"""Operations: how a step computes its bytes before the epilogue, on the array or on the POST unit alone."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import Convolve

Pair = tuple[int, int]
Places = NDArray[np.int32]      # for each row or column of a result, the row or column of the source, or -1 for none

LARGEST_STRIDE = next(spec.high for spec in Convolve.specs() if spec.name == "stride_y")


@dataclass(frozen=True)
class Taps:
    """A sliding window. Each pair is (vertical, horizontal); ``origin`` is the source position of output 0 at tap 0."""

    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    origin: Pair = (0, 0)
    dilations: Pair = (1, 1)

    def source_rows(self, first: int, last: int, height: int) -> Pair:
        """Returns the rows [low, high) of a source of ``height`` that output rows [first, last) read; low = high if none."""
        low = self.origin[0] + first * self.strides[0]
        high = self.origin[0] + (last - 1) * self.strides[0] + (self.kernel[0] - 1) * self.dilations[0] + 1
        low, high = min(max(low, 0), height), min(max(high, 0), height)
        return low, max(low, high)

    def lie_inside(self, source: Pair, result: Pair) -> bool:
        """Whether all windows lie in the source; ``source`` and ``result`` are (height, width)."""
        ends = [self.origin[axis] + (result[axis] - 1) * self.strides[axis] + (self.kernel[axis] - 1) * self.dilations[axis]
                for axis in range(2)]
        return min(self.origin) >= 0 and all(end < extent for end, extent in zip(ends, source, strict=True))


@dataclass(frozen=True, eq=False)
class Operation:
    """The operation of a step, before its epilogue."""

    taps: Taps = field(default_factory=Taps)

    @property
    def others(self) -> tuple[str, ...]:
        """The tensors that are read as a whole, in addition to the step's ``x``."""
        return ()

    @property
    def places_channels(self) -> bool:
        """Whether the operation can write channels to any slots; otherwise they have the same slots as in the source."""
        return False

    def source_rows(self, first: int, last: int, height: int) -> Pair:
        """Returns the rows [low, high) of a source of ``height`` that output rows [first, last) read; low = high if none."""
        return self.taps.source_rows(first, last, height)

    def most_source_rows(self, rows: int, height: int) -> int:
        """Returns the largest number of rows of a source of ``height`` that ``rows`` adjacent output rows read."""
        taps = self.taps
        return min(height, (rows - 1) * taps.strides[0] + (taps.kernel[0] - 1) * taps.dilations[0] + 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Operation):
    """A convolution: acc = sum of weight * x + bias, with ``padding`` outside x, requantized by ``scale`` and
    ``zero_point``."""

    weight: NDArray[np.int16]   # [M, C / group, kh, kw], -255..255
    bias: NDArray[np.int32]     # [M], includes the correction for the zero point of x
    scale: NDArray[np.float32]  # [M]
    padding: int
    zero_point: int
    group: int = 1
    selection: bool = False     # moves channels by a matrix of 0 and 1; tiles of zeros are left out

    @property
    def places_channels(self) -> bool:
        return True


def is_dense(operation: Operation) -> bool:
    """Whether an operation is a convolution without groups, in which each output depends on all channels."""
    return type(operation) is Convolution and operation.group == 1 and not operation.selection


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConvolution(Operation):
    """A convolution with a separate kernel for each channel, on the DEPTHWISE unit.

    ``on_array`` is the equivalent operation on the array, which can also move channels.
    """

    on_array: Convolution


@dataclass(frozen=True, eq=False, kw_only=True)
class Rearrangement(Convolution):
    """A selection that also moves rows and columns: output row i is source row ``rows[i]``; -1 stands for ``padding``.

    With ``swapped``, output rows come from source columns, and output columns from source rows.
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


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelRearrangement(Convolution):
    """A selection that also moves single pixels of a source of ``source_width`` columns; -1 stands for ``padding``."""

    places: NDArray[np.int32]   # [H, W], for each output pixel the source pixel, numbered in raster order
    source_width: int

    def source_rows(self, first: int, last: int, height: int) -> Pair:  # noqa: ARG002
        places = self.places[first:last]
        there = places[places >= 0] // self.source_width
        return (int(there.min()), int(there.max()) + 1) if there.size else (0, 0)

    def most_source_rows(self, rows: int, height: int) -> int:
        starts = range(len(self.places) - rows + 1)
        return max(1, *(high - low for low, high in (self.source_rows(i, i + rows, height) for i in starts)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Constants(Operation):
    """Constant bytes that are loaded from memory; the step has no inputs, and its ``x`` is its output."""

    values: NDArray[np.int8]    # [C, H, W]

    @property
    def places_channels(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Copy(Operation):
    """Copies the bytes of x."""


@dataclass(frozen=True, eq=False)
class Maximum(Operation):
    """A maximum pool; positions outside x are ignored."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Operation):
    """A sum over each window: acc = sum of x + bias, requantized by one scale."""

    bias: int
    scale: np.float32
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Average(Operation):
    """The ordered float32 average of QLinearAveragePool; all zero points are those of signed bytes."""

    x_scale: np.float32
    x_zero: int
    y_scale: np.float32
    y_zero: int
    unsigned: bool              # the model's output is uint8
    count_include_pad: bool


def selection(chosen: NDArray[np.integer], channels: int, taps: Taps, padding: int = 0) -> Convolution:
    """Returns a convolution whose output channel c is channel ``chosen[c]`` of x, or ``padding`` if that is -1."""
    weight = np.zeros((len(chosen), channels, 1, 1), np.int16)
    present = np.flatnonzero(chosen >= 0)
    weight[present, chosen[present]] = 1
    bias = np.where(chosen < 0, padding, 0).astype(np.int32)
    return Convolution(taps, weight=weight, bias=bias, scale=np.ones(len(chosen), np.float32), padding=padding,
                       zero_point=0, selection=True)


def straight(places: Places, extent: int) -> tuple[int, int] | None:
    """Returns (start, step) if each place i is i * step + start, or -1 if that is outside [0, extent); otherwise None."""
    there = np.flatnonzero(places >= 0)
    first = int(there[0])
    steps = [1, 0, extent] if there.size == 1 else [int(places[there[1]] - places[first]) // int(there[1] - first)]
    for step in (step for step in steps if 0 <= step <= LARGEST_STRIDE):
        start = int(places[first]) - first * step
        expected = start + np.arange(len(places)) * step
        if np.array_equal(np.where((expected >= 0) & (expected < extent), expected, -1), places):
            return start, step
    return None
