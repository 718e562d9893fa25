"""Entries of the parameter FIFO: biases with scales, or the thresholds of an average."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.arithmetic import encode_scale
from arrayloom.isa.config import Config

ENTRY_BYTES_PER_LANE = 8


def channel_entries(bias: NDArray[np.int32], scale: NDArray[np.float32], slots: NDArray[np.int64], blocks: int,
                    config: Config) -> NDArray[np.uint8]:
    """The entries of ``blocks`` blocks, block by block; ``slots``: where each channel's result goes, gaps get zeros."""
    words = np.zeros((2, blocks * config.size), np.uint32)
    values, index = np.unique(scale, return_inverse=True)
    encoded = np.array([encode_scale(float(value)).word for value in values], np.uint32)
    words[0, slots] = bias.view(np.uint32)
    words[1, slots] = encoded[index]
    return _interleave(words, config.lanes)


def uniform_entries(bias: int, scale: np.float32, config: Config) -> NDArray[np.uint8]:
    """The entries of one block whose channels all have the same bias and scale."""
    slots = np.arange(config.size)
    wrapped = np.full(config.size, bias, np.int64).astype(np.int32)
    return channel_entries(wrapped, np.full(config.size, scale, np.float32), slots, 1, config)


def threshold_entries(thresholds: NDArray[np.int64], config: Config) -> NDArray[np.uint8]:
    """One entry a threshold, the same in every lane: low half in place of the bias, high half of the scale."""
    halves = thresholds.astype(np.int64).view(np.uint32).reshape(-1, 2)
    return np.ascontiguousarray(np.repeat(halves[:, :, None], config.lanes, 2)).view(np.uint8).ravel()


def _interleave(words: NDArray[np.uint32], lanes: int) -> NDArray[np.uint8]:
    entries = words.reshape(2, -1, lanes).transpose(1, 0, 2)
    return np.ascontiguousarray(entries).view(np.uint8).ravel()
