"""The content of the accelerator's FIFOs during planning: addresses in memory instead of bytes."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS, LoadLookupTable, LoadParameters, LoadWeights
from arrayloom.isa.program import Program

Range = tuple[int, int]
"""A byte address of memory and a number of words."""


class PlanError(ArrayloomError):
    """A program has no plan: it violates a rule, or its weights or parameters are not known before it runs."""


class Constants:
    """The part of a program's memory that no run changes.

    Attributes
    ----------
    end
        The first byte after it; inputs, results and intermediate stores follow.
    """

    def __init__(self, program: Program) -> None:
        self._size, self._bytes, self._first = program.configuration.size, program.constants, program.constants_address
        end = max(self._first + self._bytes.size, program.code_address + program.instructions.size)
        self.end = -(-end // self._size) * self._size
        slots = [port.slot for port in program.inputs] + [port.slot for port in program.outputs]
        slots += [program.features.slot] if program.features else []
        if program.write_base < self.end or any(slot.address < self.end for slot in slots):
            raise PlanError("constants do not lie before all that is written")

    def words(self, address: int, count: int) -> NDArray[np.int8]:
        """int8[count, size]; raises ``PlanError`` if they are not constant."""
        start = address - self._first
        if start < 0 or start % self._size or start + count * self._size > self._bytes.size:
            raise PlanError(f"{count} words at {address:#x} are not constant")
        return self._bytes[start:start + count * self._size].view(np.int8).reshape(count, self._size)

    def joined(self, ranges: tuple[Range, ...]) -> NDArray[np.int8]:
        """The words of several ranges in order."""
        parts = [self.words(address, count) for address, count in ranges]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass
class Feeds:
    """The FIFOs that LOAD fills, oldest first: ranges of weights, and addresses of parameter entries and table pages."""

    config: Config
    weights: deque[Range] = field(default_factory=deque)
    parameters: deque[int] = field(default_factory=deque)
    tables: deque[int] = field(default_factory=deque)

    def load_weights(self, i: LoadWeights) -> None:
        if not i.words or i.words % self.config.size:
            raise PlanError(f"{i.words} words of weights")
        self.weights.append((i.address, i.words))

    def load_parameters(self, i: LoadParameters) -> None:
        if not i.entries:
            raise PlanError("0 parameter entries")
        pitch = self.config.parameter_beats * self.config.size
        self.parameters.extend(range(i.address, i.address + i.entries * pitch, pitch))

    def load_lookup_table(self, i: LoadLookupTable) -> None:
        self.tables.append(i.address)

    def take_weights(self, words: int) -> tuple[Range, ...]:
        """The address of the next words of the weight FIFO."""
        taken: list[Range] = []
        while words:
            if not self.weights:
                raise PlanError(f"the weight FIFO lacks {words} words")
            address, held = self.weights.popleft()
            used = min(held, words)
            taken.append((address, used))
            if held > used:
                self.weights.appendleft((address + used * self.config.size, held - used))
            words -= used
        return tuple(taken)

    def take_parameters(self, count: int, release: int) -> tuple[int, ...]:
        """Addresses of the entries at the head of the parameter FIFO; with ``release`` they are removed."""
        if len(self.parameters) < count:
            raise PlanError(f"{count} parameter entries needed, {len(self.parameters)} are there")
        entries = tuple(self.parameters[k] for k in range(count))
        for _ in range(count if release else 0):
            self.parameters.popleft()
        return entries

    def take_table(self, used: int, release: int) -> Range | None:
        """The address of the page at the head of the table FIFO, if it is ``used``; with ``release`` it is removed."""
        if (used or release) and not self.tables:
            raise PlanError("no table in the table FIFO")
        page = (self.tables[0], LOOKUP_TABLE_WORDS) if used else None
        if release:
            self.tables.popleft()
        return page

    @property
    def empty(self) -> bool:
        return not (self.weights or self.parameters or self.tables)
