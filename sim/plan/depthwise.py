"""Depthwise convolutions in a plan: their kernels lie in the scratchpad, and are constants that were loaded there."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import Depthwise, DrainDepthwise, LoadActivations
from arrayloom.sim.emulator.post import requantize
from arrayloom.sim.plan.feeds import PlanError, Range
from arrayloom.sim.plan.space import Space
from arrayloom.sim.plan.steps import Bytes, Operation
from arrayloom.sim.plan.works import Index

COMPUTED = -1       # instead of an address


class Loaded:
    """Where in memory each word of the scratchpad was loaded from, as the instructions are gone through."""

    def __init__(self, words: int, size: int) -> None:
        self._size = size
        self._addresses = np.full(words, COMPUTED, np.int64)

    def load(self, i: LoadActivations, destination: Index) -> None:
        """``destination``: the words of the transfer."""
        words = np.arange(i.rows)[:, None] * i.memory_pitch + np.arange(i.words)
        self._addresses[destination] = i.address + words.ravel() * self._size

    def compute(self, destination: Index) -> None:
        """These words are written by the POST unit."""
        self._addresses[destination] = COMPUTED

    def kernel(self, i: Depthwise, space: Space) -> tuple[Range, ...]:
        """Where the weights come from; raises ``PlanError`` where they are computed."""
        words = i.weights + np.arange(i.repeats * i.taps_y * i.taps_x)
        space.require_on_chip(words)
        addresses = self._addresses[words]
        if (addresses == COMPUTED).any():
            raise PlanError(f"weights of a Depthwise at word {i.weights} are not loaded from memory")
        begins = np.flatnonzero(np.diff(addresses, prepend=COMPUTED) != self._size)
        counts = np.diff(begins, append=len(addresses))
        return tuple((int(addresses[begin]), int(count)) for begin, count in zip(begins, counts, strict=True))


def depthwise(words: NDArray[np.int8], entries: NDArray[np.uint32], taps: int, drain: DrainDepthwise) -> Operation:
    """The operation on int8[images, taps, pixels * size].

    ``words``: the kernel, int8[repeats * taps, size]; ``entries``: uint32[groups, 2, lanes] of the drain.
    """
    size = words.shape[1]
    kernel = words.reshape(-1, taps, size).astype(np.float32).sum(0)

    def convolve(own: Bytes) -> Bytes:
        # 49 taps of three weights at most: float32 holds their sums exactly.
        total = np.zeros((len(own), own.shape[2] // size, size), np.float32)
        for tap, weights in enumerate(kernel):
            total += own[:, tap].reshape(total.shape) * weights
        return requantize(total.reshape(-1, size).astype(np.int32), entries, drain)

    return convolve
