"""Addresses under a sliding window, shared by Convolve, Depthwise and Pool."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import Convolve, Depthwise, Pool
from arrayloom.sim.emulator.machine import EmulatorError


class Window(NamedTuple):
    """``addresses``: int64[taps_y, taps_x, height, width] from the first channel block, 0 where not ``inside``."""

    addresses: NDArray[np.int64]
    inside: NDArray[np.bool_]


def _axis(origin: int, count: int, stride: int, taps: int, dilation: int) -> NDArray[np.int64]:
    return origin + np.arange(count) * stride + (np.arange(taps) * dilation)[:, None]


def window(instruction: Convolve | Depthwise | Pool) -> Window:
    """The source word of every output pixel at every tap; raises ``EmulatorError`` when there is no pixel or no tap."""
    i = instruction
    if 0 in (i.height, i.width, i.taps_y, i.taps_x):
        raise EmulatorError(f"{i.height} x {i.width} pixels of {i.taps_y} x {i.taps_x} taps: at least one of each is needed")
    y = _axis(i.origin_y, i.height, i.stride_y, i.taps_y, i.dilation_y)[:, None, :, None]
    x = _axis(i.origin_x, i.width, i.stride_x, i.taps_x, i.dilation_x)[None, :, None, :]
    inside = (y >= 0) & (y < i.source_height) & (x >= 0) & (x < i.source_width)
    return Window(np.where(inside, i.source + y * i.row_pitch + x, 0), inside)
