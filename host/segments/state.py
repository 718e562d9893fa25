"""The state of an accelerator and its memory between two instructions of a program, without control state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import distinct
from arrayloom.isa.image import Memory

Words = NDArray[np.int8]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Changes:
    """Changed words of a memory.

    Attributes
    ----------
    places
        int64[n], ascending, the number of each word.
    words
        int8[n, size].
    """

    places: Places
    words: Words

    @classmethod
    def between(cls, before: Memory, after: Memory, size: int) -> "Changes":
        """The changes between two contents of a memory with words of ``size`` bytes."""
        kind = np.dtype(f"u{min(size, 8)}")
        unequal = before.view(kind) != after.view(kind)
        places = distinct(np.flatnonzero(unequal) // (size // kind.itemsize))
        return cls(places, after.view(np.int8).reshape(-1, size)[places])

    def apply(self, memory: Memory) -> None:
        """Makes the changes."""
        memory.view(np.int8).reshape(-1, self.words.shape[1])[self.places] = self.words

    def at(self, places: Places, otherwise: Words) -> Words:
        """int8[n, size]: the words at these places; ``otherwise``: the content of unchanged words."""
        rows = np.searchsorted(self.places, places)
        there = rows < len(self.places)
        there[there] = self.places[rows[there]] == places[there]
        result = otherwise.copy()
        result[there] = self.words[rows[there]]
        return result


@dataclass(frozen=True)
class State:
    """The state before instruction ``index``, after all earlier ones are complete.

    Attributes
    ----------
    index
        Index of the instruction.
    scratchpad
        int8[words, size].
    changes
        Changes of memory since the program was loaded, including the inputs.
    """

    index: int
    scratchpad: Words
    changes: Changes
