"""The layout of a tensor's bytes: channel blocks of planes of words, where one word contains ``size`` channels of a pixel.

Channel slots are numbered across blocks: slot ``s`` is byte ``s % size`` of the word in block ``s // size``. A tensor's
channels fill runs of slots (*segments*), so that a concatenation of tensors is the concatenation of their blocks.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError

Bytes = NDArray[np.int8]

WIDEST = 1 << 16    # most pixels that a packed layout extends to either side of the first


def to_signed(array: NDArray[Any]) -> Bytes:
    """Converts a uint8 or int8 array to the device's signed form: uint8 x becomes x - 128."""
    if array.dtype == np.uint8:
        return (array ^ 0x80).view(np.int8)
    if array.dtype == np.int8:
        return array
    raise EncodingError(f"dtype {array.dtype}: the device holds uint8 and int8 only")


def from_signed(array: Bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The inverse of ``to_signed`` for a tensor of ``dtype``."""
    return (array.view(np.uint8) ^ 0x80) if dtype == np.uint8 else array


@dataclass(frozen=True)
class Packing:
    """An input layout whose words contain windows of adjacent pixels, for layers with few channels.

    There are ``rows`` rows of ``columns`` words in each channel block. At (i, j) slot ``(r * taps + t) * channels + c``
    holds channel c of source pixel ``(i * row_step + row_origin + r, j * step + origin + t)`` for r in [0, row_taps) and t
    in [0, taps), or ``padding`` outside the image.
    """

    taps: int
    step: int
    origin: int
    columns: int
    row_taps: int
    row_step: int
    row_origin: int
    rows: int
    padding: int


@dataclass(frozen=True)
class Layout:
    """A [C, H, W] tensor in words of ``size`` bytes.

    ``segments``: (first slot, channels) runs, in channel order; every run begins at a block. With ``pixels`` above 1 a row
    has ``width / pixels`` columns: channel c of a run of n channels from slot s on has slot ``s + p * n + c`` of column j
    for pixel ``j * pixels + p``.
    """

    size: int
    height: int
    width: int
    segments: tuple[tuple[int, int], ...]
    packing: Packing | None = None
    pixels: int = 1

    @classmethod
    def canonical(cls, size: int, channels: int, height: int, width: int) -> Self:
        """Channels in order without gaps."""
        return cls(size, height, width, ((0, channels),))

    @classmethod
    def packed(cls, size: int, channels: int, height: int, width: int, packing: Packing) -> Self:
        """An input layout with several pixels in a word."""
        return cls(size, height, width, ((0, channels),), packing)

    @property
    def channels(self) -> int:
        return sum(count for _, count in self.segments)

    @property
    def blocks(self) -> int:
        if self.packing:
            return -(-self.packing.row_taps * self.packing.taps * self.channels // self.size)
        start, count = self.segments[-1]
        return -(-(start + count * self.pixels) // self.size)

    @property
    def rows(self) -> int:
        """Rows of words."""
        return self.packing.rows if self.packing else self.height

    @property
    def columns(self) -> int:
        """Words in a row."""
        return self.packing.columns if self.packing else self.width // self.pixels

    @property
    def plane(self) -> int:
        """Words in a channel block."""
        return self.rows * self.columns

    @property
    def words(self) -> int:
        return self.blocks * self.plane

    @property
    def byte_count(self) -> int:
        return self.words * self.size

    def slots(self) -> NDArray[np.int64]:
        """int64[pixels * C]: the slot of each channel of each pixel in a column."""
        return np.concatenate([np.arange(start + pixel * count, start + (pixel + 1) * count)
                               for pixel in range(self.pixels) for start, count in self.segments])

    def pack(self, tensor: Bytes) -> NDArray[np.uint8]:
        """Converts int8 [C, H, W] to the device's bytes, uint8[words * size]; gaps are zero."""
        if tensor.shape != (self.channels, self.height, self.width):
            raise EncodingError(f"tensor {tensor.shape}: the layout holds {(self.channels, self.height, self.width)}")
        spread = np.zeros((self.blocks * self.size, self.rows, self.columns), np.int8)
        if self.packing:
            windows = self._windows(tensor, self.packing)
            spread[: windows.shape[0]] = windows
        else:
            columns = tensor.reshape(self.channels, self.height, self.columns, self.pixels)
            spread[self.slots()] = columns.transpose(3, 0, 1, 2).reshape(-1, self.height, self.columns)
        blocked = spread.reshape(self.blocks, self.size, self.rows, self.columns).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(blocked).view(np.uint8).ravel()

    def unpack(self, data: NDArray[np.uint8]) -> Bytes:
        """Converts the device's bytes to the int8 [C, H, W] tensor; not for packed layouts."""
        if self.packing:
            raise EncodingError("a packed layout is for inputs and is not read back")
        blocked = data.view(np.int8).reshape(self.blocks, self.height, self.columns, self.size).transpose(0, 3, 1, 2)
        spread = np.ascontiguousarray(blocked).reshape(-1, self.height, self.columns)[self.slots()]
        columns = spread.reshape(self.pixels, self.channels, self.height, self.columns).transpose(1, 2, 3, 0)
        return np.ascontiguousarray(columns).reshape(self.channels, self.height, self.width)

    def _windows(self, tensor: Bytes, packing: Packing) -> Bytes:
        top, bottom = _beyond(packing.row_origin, packing.row_step, packing.rows, packing.row_taps, self.height)
        left, right = _beyond(packing.origin, packing.step, packing.columns, packing.taps, self.width)
        padded = np.pad(tensor, ((0, 0), (top, bottom), (left, right)), constant_values=packing.padding)
        first, second = packing.row_origin + top, packing.origin + left
        return np.concatenate([
            padded[:, first + r::packing.row_step, second + t::packing.step][:, :packing.rows, :packing.columns]
            for r in range(packing.row_taps) for t in range(packing.taps)])

    def check(self, size: int) -> None:
        """Raises ``EncodingError`` unless this is a layout with words of ``size`` bytes."""
        if self.size != size:
            raise EncodingError(f"a layout has words of {self.size} bytes, the configuration {size}")
        if min(self.height, self.width) < 1:
            raise EncodingError(f"a layout of {self.height} rows and {self.width} columns holds nothing")
        if self.pixels < 1 or self.width % self.pixels or (self.packing and self.pixels > 1):
            raise EncodingError(f"a layout with {self.pixels} pixels in a word, {self.width} in a row")
        free = 0
        for start, count in self.segments:
            if start < free or start % size or count < 1:
                raise EncodingError(f"segments {self.segments} of a layout: each must begin at a multiple of {size} after "
                                    "the one before, and hold a channel")
            free = start + count * self.pixels
        if not self.segments:
            raise EncodingError("a layout holds no channels")
        if self.packing:
            self._check_packing(self.packing)

    def _check_packing(self, packing: Packing) -> None:
        extents = (packing.taps, packing.step, packing.columns, packing.row_taps, packing.row_step, packing.rows)
        if min(extents) < 1 or not -128 <= packing.padding <= 127:
            raise EncodingError(f"{packing}: taps, steps, columns and rows must be positive, and padding a signed byte")
        if self.segments != ((0, self.channels),):
            raise EncodingError(f"{packing}: its channels lie in {len(self.segments)} segments")
        for origin, step, count, taps in ((packing.origin, packing.step, packing.columns, packing.taps),
                                          (packing.row_origin, packing.row_step, packing.rows, packing.row_taps)):
            if origin <= -WIDEST or (count - 1) * step + origin >= WIDEST or taps > WIDEST:
                raise EncodingError(f"{packing}: it reaches {WIDEST} pixels or more beyond the image")


def _beyond(origin: int, step: int, count: int, taps: int, extent: int) -> tuple[int, int]:
    """The number of pixels by which windows extend before an image's first pixel and after its last."""
    return max(0, -origin), max(0, (count - 1) * step + origin + taps - extent)
