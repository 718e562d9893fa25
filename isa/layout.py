"""Where the bytes of a tensor lie: channel blocks of planes of words, one word holding ``size`` channels of a pixel.

Channel slots count through blocks: slot ``s`` is byte ``s % size`` of the word in block ``s // size``. A tensor's
channels fill runs of slots (*segments*), so that a concatenation of tensors is the concatenation of their blocks.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError

Bytes = NDArray[np.int8]

WIDEST = 1 << 16    # pixels that a packed layout reaches to either side of the first


def to_signed(array: NDArray[Any]) -> Bytes:
    """A uint8 or int8 array in the signed form the device computes with: uint8 x becomes x - 128."""
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
    """An input layout in which one word holds several horizontal neighbours, for layers with few channels.

    Word (y, j) holds in slot ``t * channels + c`` channel c of source pixel ``(y, j * step + origin + t)`` for t in
    [0, taps), or ``padding`` outside the image; there are ``columns`` words in a row.
    """

    taps: int
    step: int
    origin: int
    columns: int
    padding: int


@dataclass(frozen=True)
class Layout:
    """A [C, H, W] tensor in words of ``size`` bytes.

    ``segments``: (first slot, channels) runs, in channel order; every run begins at a block.
    """

    size: int
    height: int
    width: int
    segments: tuple[tuple[int, int], ...]
    packing: Packing | None = None

    @classmethod
    def canonical(cls, size: int, channels: int, height: int, width: int) -> Self:
        """Channels in order without gaps."""
        return cls(size, height, width, ((0, channels),))

    @classmethod
    def packed(cls, size: int, channels: int, height: int, width: int, packing: Packing) -> Self:
        """An input layout with several pixels in a word; raises ``EncodingError`` when they do not fit."""
        if packing.taps * channels > size:
            raise EncodingError(f"{packing.taps} pixels of {channels} channels do not fit a word of {size} bytes")
        return cls(size, height, width, ((0, channels),), packing)

    @property
    def channels(self) -> int:
        return sum(count for _, count in self.segments)

    @property
    def blocks(self) -> int:
        start, count = self.segments[-1]
        return -(-(start + count) // self.size)

    @property
    def columns(self) -> int:
        """Words in a row."""
        return self.packing.columns if self.packing else self.width

    @property
    def plane(self) -> int:
        """Words in a channel block."""
        return self.height * self.columns

    @property
    def words(self) -> int:
        return self.blocks * self.plane

    @property
    def byte_count(self) -> int:
        return self.words * self.size

    def slots(self) -> NDArray[np.int64]:
        """int64[C]: the slot of each channel."""
        return np.concatenate([np.arange(start, start + count) for start, count in self.segments])

    def pack(self, tensor: Bytes) -> NDArray[np.uint8]:
        """int8 [C, H, W] as the device's bytes, uint8[words * size]; gaps are zero."""
        if tensor.shape != (self.channels, self.height, self.width):
            raise EncodingError(f"tensor {tensor.shape}: the layout holds {(self.channels, self.height, self.width)}")
        spread = np.zeros((self.blocks * self.size, self.height, self.columns), np.int8)
        if self.packing:
            windows = self._windows(tensor, self.packing)
            spread[: windows.shape[0]] = windows
        else:
            spread[self.slots()] = tensor
        blocked = spread.reshape(self.blocks, self.size, self.height, self.columns).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(blocked).view(np.uint8).ravel()

    def unpack(self, data: NDArray[np.uint8]) -> Bytes:
        """The int8 [C, H, W] tensor in the device's bytes; not for packed layouts."""
        if self.packing:
            raise EncodingError("a packed layout is for inputs and is not read back")
        blocked = data.view(np.int8).reshape(self.blocks, self.height, self.width, self.size).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(blocked).reshape(-1, self.height, self.width)[self.slots()]

    def _windows(self, tensor: Bytes, packing: Packing) -> Bytes:
        last = (packing.columns - 1) * packing.step + packing.origin + packing.taps
        before, after = max(0, -packing.origin), max(0, last - self.width)
        padded = np.pad(tensor, ((0, 0), (0, 0), (before, after)), constant_values=packing.padding)
        first = packing.origin + before
        taps = [padded[:, :, first + t::packing.step][:, :, : packing.columns] for t in range(packing.taps)]
        return np.concatenate(taps)

    def check(self, size: int) -> None:
        """Raises ``EncodingError`` unless this is a layout of a memory whose words are ``size`` bytes."""
        if self.size != size:
            raise EncodingError(f"a layout has words of {self.size} bytes, the configuration {size}")
        if min(self.height, self.width) < 1:
            raise EncodingError(f"a layout of {self.height} rows and {self.width} columns holds nothing")
        free = 0
        for start, count in self.segments:
            if start < free or start % size or count < 1:
                raise EncodingError(f"segments {self.segments} of a layout: each must begin at a multiple of {size} after "
                                    "the one before, and hold a channel")
            free = start + count
        if not self.segments:
            raise EncodingError("a layout holds no channels")
        if self.packing:
            self._check_packing(self.packing)

    def _check_packing(self, packing: Packing) -> None:
        if min(packing.taps, packing.step, packing.columns) < 1 or not -128 <= packing.padding <= 127:
            raise EncodingError(f"{packing}: taps, step and columns must be positive, and padding a signed byte")
        if self.segments != ((0, self.channels),) or packing.taps * self.channels > self.size:
            raise EncodingError(f"{packing}: its pixels do not fit a word")
        last = (packing.columns - 1) * packing.step + packing.origin
        if packing.origin <= -WIDEST or last >= WIDEST:
            raise EncodingError(f"{packing}: it reaches {WIDEST} pixels or more beyond the image")
