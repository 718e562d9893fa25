"""What an accelerator and its memory hold between two instructions of a program, as far as it is no control state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import distinct
from arrayloom.isa.image import Memory

Words = NDArray[np.int8]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Changes:
    """Words of a memory that are not what they were.

    Attributes:
        places: int64[n], ascending, the number of each word.
        words: int8[n, size].
    """

    places: Places
    words: Words

    @classmethod
    def between(cls, before: Memory, after: Memory, size: int) -> "Changes":
        """Those of a memory of words of ``size`` bytes."""
        kind = np.dtype(f"u{min(size, 8)}")
        unequal = before.view(kind) != after.view(kind)
        places = distinct(np.flatnonzero(unequal) // (size // kind.itemsize))
        return cls(places, after.view(np.int8).reshape(-1, size)[places])

    def apply(self, memory: Memory) -> None:
        """Makes the changes."""
        memory.view(np.int8).reshape(-1, self.words.shape[1])[self.places] = self.words

    def at(self, places: Places, otherwise: Words) -> Words:
        """int8[n, size]: the words of these places; ``otherwise``: what those hold that are not changed."""
        rows = np.searchsorted(self.places, places)
        there = rows < len(self.places)
        there[there] = self.places[rows[there]] == places[there]
        result = otherwise.copy()
        result[there] = self.words[rows[there]]
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
