"""What an accelerator and its memory hold between two instructions of a program, as far as it is no control state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.image import Memory

Words = NDArray[np.int8]


@dataclass(frozen=True)
class Changes:
    """Words of a memory that are not what they were.

    Attributes:
        places: int64[n], ascending, the number of each word.
        words: int8[n, size].
    """

    places: NDArray[np.int64]
    words: Words

    @classmethod
    def between(cls, before: Memory, after: Memory, size: int) -> "Changes":
        """Those of a memory of words of ``size`` bytes."""
        kind = np.dtype(f"u{min(size, 8)}")
        unequal = before.view(kind) != after.view(kind)
        places = np.unique(np.flatnonzero(unequal) // (size // kind.itemsize))
        return cls(places, after.view(np.int8).reshape(-1, size)[places])

    def apply(self, memory: Memory) -> None:
        """Makes the changes."""
        memory.view(np.int8).reshape(-1, self.words.shape[1])[self.places] = self.words

    def at(self, places: NDArray[np.int64], otherwise: Words) -> Words:
        """int8[n, size]: the words of these places; ``otherwise``: what those hold that are not changed."""
        there = np.isin(places, self.places)
        result = otherwise.copy()
        result[there] = self.words[np.searchsorted(self.places, places[there])]
        return result


@dataclass(frozen=True)
class State:
    """Before instruction ``index``, when all before it are complete.

    Attributes:
        index: of the instruction.
        scratchpad: int8[words, size].
        changes: of memory since the program was placed in it, the inputs among them.
    """

    index: int
    scratchpad: Words
    changes: Changes
