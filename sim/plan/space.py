"""One numbering for all words of a run: the scratchpad, the memory that a run changes, and words of constants."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import LoadActivations, Store
from arrayloom.isa.program import Program
from arrayloom.sim.plan.feeds import Constants, PlanError
from arrayloom.sim.plan.works import Index

MOST_WORDS = (1 << 31) - 1      # most words: 32-bit numbers
Words = NDArray[np.int8]


class Space:
    """The words of a run of ``program``: first the scratchpad, then memory from the end of its constants, then constants.

    Works number the whole scratchpad; ``placed`` omits its unused end, as states do.

    Attributes
    ----------
    memory
        Number of the first word of memory, and how many words the scratchpad has.
    constant
        Number of the first word of constants.
    unused
        Words at the end of the scratchpad.
    """

    def __init__(self, program: Program, constants: Constants) -> None:
        self._config = program.configuration
        self._first, self._end = constants.end, program.memory_bytes
        self.memory = self._config.activation_words
        self.constant = self.memory + max(0, self._end - self._first) // self._config.size
        if self.constant > MOST_WORDS:
            raise PlanError(f"{self.constant} words are more than a plan numbers")
        self._constants: list[Words] = []
        self._count = 0
        self._fillings: dict[int, int] = {}
        self._copies: dict[tuple[int, int], int] = {}
        self.unused = 0

    @property
    def count(self) -> int:
        """Words in all."""
        return self.constant + self._count

    @property
    def constants(self) -> Words:
        """int8[n, size]: the constant words, from number ``constant`` on."""
        return np.concatenate([np.zeros((0, self._config.size), np.int8), *self._constants])

    def filled(self, value: int) -> int:
        """The number of a word that holds ``value`` in every byte."""
        if value not in self._fillings:
            self._fillings[value] = self._append(np.full((1, self._config.size), value, np.int8))
        return self._fillings[value]

    def at(self, address: int) -> int:
        """The number of the word at a byte address of the memory that a run changes."""
        return self.memory + (address - self._first) // self._config.size

    def trim(self, touched: NDArray[np.bool_]) -> None:
        """Determines the unused words; ``touched``: for each word, whether a work reads or writes it."""
        used = np.flatnonzero(touched[:self.memory])
        self.unused = self.memory - (int(used[-1]) + 1 if used.size else 0)

    def placed(self, words: Index) -> Index:
        """The positions of numbered words in a state."""
        return np.where(words >= self.memory, words - self.unused, words) if self.unused else words

    def require_on_chip(self, words: NDArray[np.int64]) -> None:
        if words.size == 0 or words.max() >= self.memory:
            raise PlanError("a word lies outside the scratchpad")

    def runs(self, first: int, i: LoadActivations | Store) -> Index:
        """The scratchpad's words of a transfer."""
        words = first + np.arange(i.rows)[:, None] * i.chip_pitch + np.arange(i.words)
        self.require_on_chip(words)
        return words.ravel().astype(np.int32)

    def memory_runs(self, i: LoadActivations | Store, constants: Constants | None) -> Index:
        """The memory's words of a transfer; reads of ``constants``, if permitted, get separate words."""
        return np.concatenate([self._run(i.address + row * i.memory_pitch * self._config.size, i.words, constants)
                               for row in range(i.rows)]).astype(np.int32)

    def _run(self, address: int, words: int, constants: Constants | None) -> NDArray[np.int64]:
        size = self._config.size
        if address >= self._first and address % size == 0 and address + words * size <= self._end:
            return np.arange(words) + self.at(address)
        if constants is None:
            raise PlanError(f"a store to {address:#x}")
        if (address, words) not in self._copies:
            self._copies[address, words] = self._append(constants.words(address, words))
        return np.arange(words) + self._copies[address, words]

    def _append(self, words: Words) -> int:
        number = self.count
        self._constants.append(words)
        self._count += len(words)
        return number
