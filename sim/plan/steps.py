"""The steps of a plan: each gathers words, computes, and writes words, for a whole batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.plan.finish import Finish
from arrayloom.sim.plan.works import Index

Bytes = NDArray[np.int8]
Operation = Callable[[Bytes], Bytes]

PIECE_BYTES = 1 << 19       # bytes gathered at a time, so that they are still in the cache for the computation
LEAST_BYTES = 1 << 15       # worth another thread


class State:
    """The words of a batch: int8[images, words, size], and ``words`` [images, words], in which each word is one element."""

    def __init__(self, words: Bytes) -> None:
        self.bytes = words
        self.words: NDArray[Any] = words.view(f"V{words.shape[2]}")[..., 0]

    @classmethod
    def make(cls, images: int, count: int, constants: Bytes) -> "State":
        """A state of zeros, with the constants as the last words of each image."""
        words = np.zeros((images, count, constants.shape[1]), np.int8)
        words[:, count - len(constants):] = constants
        return cls(words)


@dataclass(frozen=True)
class Workers:
    """The threads of a plan; ``pool`` is None where there is but one."""

    count: int = 1
    pool: Executor | None = None

    def run(self, tasks: list[Callable[[], None]]) -> None:
        """Runs all tasks; raises the exception of a failed one."""
        if self.pool is None or len(tasks) == 1:
            for task in tasks:
                task()
        else:
            for done in [self.pool.submit(task) for task in tasks]:
                done.result()


class Step(Protocol):
    """A step, which executes the instructions with these indices together."""

    @property
    def instructions(self) -> tuple[int, ...]: ...

    def run(self, state: State, workers: Workers, /) -> None: ...


@dataclass(frozen=True, eq=False)
class Move:
    """Copies words: transfers between memory and the scratchpad."""

    instructions: tuple[int, ...]
    sources: Index
    destination: Index

    def run(self, state: State, _: Workers) -> None:
        state.words[:, self.destination] = state.words.take(self.sources, axis=1, mode="clip")


@dataclass(frozen=True, eq=False)
class Computation:
    """An operation on the words of each pixel.

    Attributes
    ----------
    sources
        Int32[pixels, terms], the words that are read.
    destination
        Int32[pixels, blocks], the words that are written.
    operation
        int8[images, pixels, terms * size] to int8[images, pixels, blocks * size]; it may modify its argument.
    finish
        What is done to each byte of the result.
    whole
        Everything is read before anything is written.
    terms_first
        The operation gets int8[images, terms, pixels * size].
    """

    instructions: tuple[int, ...]
    sources: Index
    destination: Index
    operation: Operation
    finish: Finish
    whole: bool = False
    terms_first: bool = False

    def run(self, state: State, workers: Workers) -> None:
        workers.run([lambda piece=piece: self._execute(state, *piece)       # type: ignore[misc]
                     for piece in self._pieces(len(state.bytes), state.bytes.shape[2], workers.count)])

    def _pieces(self, images: int, size: int, threads: int) -> Iterator[tuple[slice, slice]]:
        """Images and pixels that are computed at a time."""
        pixels, terms = self.sources.shape
        row = size * max(terms, self.destination.shape[1])
        most = max(1, min(PIECE_BYTES // row, max(LEAST_BYTES // row, -(-images * pixels // threads))))
        if self.whole:
            yield slice(0, images), slice(0, pixels)
        elif most >= pixels:
            together = most // pixels
            yield from ((slice(first, first + together), slice(0, pixels)) for first in range(0, images, together))
        else:
            yield from ((slice(image, image + 1), slice(first, first + most))
                        for image in range(images) for first in range(0, pixels, most))

    def _execute(self, state: State, images: slice, pixels: slice) -> None:
        words = state.words[images]
        sources, destination = self.sources[pixels], self.destination[pixels]
        gathered = words.take(sources.T if self.terms_first else sources, axis=1, mode="clip").view(np.int8)
        result = self.operation(gathered).reshape(len(words) * len(sources), -1)
        result = self.finish(result, words, pixels)
        words[:, destination] = result.view(words.dtype).reshape(len(words), *destination.shape)
