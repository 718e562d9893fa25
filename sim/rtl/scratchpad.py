"""The words of a simulated accelerator's scratchpad, by their addresses."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from arrayloom.hdl.interleave import bank_bits
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.library import BYTES


class Scratchpad:
    """The banks of one simulation: views of the model's memories, valid as long as the model exists."""

    def __init__(self, library: ctypes.CDLL, simulation: int, word_bytes: int) -> None:
        words = library.arrayloom_bank_words()
        self._banks = []
        for index in range(library.arrayloom_banks()):
            pointer = library.arrayloom_bank(simulation, index)
            self._banks.append(np.ctypeslib.as_array(ctypes.cast(pointer, BYTES), (words, word_bytes)).view(np.int8))
        if self._banks:
            address = np.arange(words * len(self._banks))
            self._bank = sum((np.bitwise_xor.reduce([address >> bit & 1 for bit in range(64)[chosen]]) << index
                              for index, chosen in enumerate(bank_bits(len(address).bit_length() - 1, len(self._banks)))),
                             np.zeros_like(address))
            self._row = address // len(self._banks)

    def read(self) -> NDArray[np.int8]:
        """A copy of all words by address: int8[activation_words, size]."""
        self._require()
        return np.stack(self._banks)[self._bank, self._row]

    def write(self, words: NDArray[np.int8]) -> None:
        """Replaces all words: int8[activation_words, size]."""
        self._require()
        expected = (len(self._row), self._banks[0].shape[1])
        if words.dtype != np.int8 or words.shape != expected:
            raise SimulationError(f"words of dtype {words.dtype} and shape {words.shape}: must be int8{list(expected)}, the "
                                  "whole scratchpad")
        for index, bank in enumerate(self._banks):
            own = self._bank == index
            bank[self._row[own]] = words[own]

    def _require(self) -> None:
        if not self._banks:
            raise SimulationError("this design has no scratchpad: its Design names no memories as banks of one")
