"""Finds hazards: accesses to the same word, at least one of them a write, that no token orders; and instructions of two
units that fill the weight FIFO, likewise.

``arrayloom.isa.order`` determines what is complete when an instruction reads and writes. The writes of a unit do not
overtake its own earlier reads and writes, but its reads may overtake its own earlier writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import NONE, Accesses, Words, accesses, distinct
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.fills import unordered_fills
from arrayloom.isa.instructions import Store
from arrayloom.isa.order import NEVER, Clock, order_of
from arrayloom.isa.program import Program

MOST_ACCESSED = 1 << 30     # most words of all instructions of a program; ResNet-152 at 16x16 has a twentieth of that


class Hazard(StrEnum):
    """The accesses that may happen in the wrong order."""

    READ_AFTER_WRITE = "read after write"
    WRITE_AFTER_READ = "write after read"
    WRITE_AFTER_WRITE = "write after write"
    NO_TOKEN = "waits for a token that no instruction gives"
    CIRCLE = "waits for an instruction that waits for it"
    FILLS = "fills the weight FIFO, but does not wait for"


@dataclass(frozen=True)
class Finding:
    """Two instructions that no token orders, or one that waits for ever.

    Attributes
    ----------
    hazard
        The kind of hazard.
    later
        Index of the instruction that comes after ``earlier`` in the program but may not wait for it; for an endless wait,
        of the instruction that waits.
    earlier
        Index of the other instruction, which in a cycle of waits may come after it; None for a token that no instruction
        gives.
    place
        ``scratchpad``, ``memory`` or ``weight FIFO``, or the unit that the instruction waits for.
    word
        The first word that both access, for memory relative to its base; None for an endless wait and for the FIFO.
    last_word
        The last such word; both need not access the words in between.
    """

    hazard: Hazard
    later: int
    earlier: int | None
    place: str
    word: int | None
    last_word: int | None


def find_hazards(program: Program) -> Iterator[Finding]:
    """All unordered pairs of accesses; for each instruction, only the latest one of each unit that it does not wait for.

    Accesses outside the scratchpad are ignored: the accelerator refuses them. Raises ``EncodingError`` for
    invalid instructions, and for programs that access more than ``MOST_ACCESSED`` words.
    """
    yield from HazardCheck(program).findings()


class _Memory:
    """For each of some ``words``, in ascending order, the last instruction of each unit that read and wrote it."""

    def __init__(self, name: str, words: Words) -> None:
        self.name, self._words = name, words
        self._read: dict[Unit, NDArray[np.int32]] = {}
        self._written: dict[Unit, NDArray[np.int32]] = {}

    def access(self, index: int, unit: Unit, clock: Clock, reads: Words, writes: Words) -> Iterator[Finding]:
        """Returns the findings of an instruction, and records its accesses."""
        reads, writes = self._places(reads), self._places(writes)
        yield from self._unordered(index, clock, reads, self._written, Hazard.READ_AFTER_WRITE)
        others = [{other: last for other, last in history.items() if other is not unit}
                  for history in (self._read, self._written)]
        yield from self._unordered(index, clock, writes, others[0], Hazard.WRITE_AFTER_READ)
        yield from self._unordered(index, clock, writes, others[1], Hazard.WRITE_AFTER_WRITE)
        for history, words in ((self._read, reads), (self._written, writes)):
            if len(words):
                history.setdefault(unit, np.full(len(self._words), NEVER, np.int32))[words] = index

    def _places(self, words: Words) -> Words:
        """The positions of the tracked words."""
        if not len(self._words) or not len(words):
            return words[:0]
        places = np.minimum(np.searchsorted(self._words, words), len(self._words) - 1)
        return places[self._words[places] == words]

    def _unordered(self, index: int, clock: Clock, words: Words, histories: dict[Unit, NDArray[np.int32]],
                   hazard: Hazard) -> Iterator[Finding]:
        for unit, last in histories.items() if len(words) else ():
            seen = last[words]
            latest = int(seen.max())
            if latest > clock[unit]:
                both = self._words[words[seen == latest]]
                yield Finding(hazard, index, latest, self.name, int(both.min()), int(both.max()))


class HazardCheck:
    """The check of a program.

    Attributes
    ----------
    accessed
        Number of words accessed by all instructions checked so far, with repetitions.
    """

    def __init__(self, program: Program) -> None:
        self.accessed = 0
        self._config = program.configuration
        self._instructions: list[Instruction] = list(program)

    def findings(self) -> Iterator[Finding]:
        """As in ``find_hazards``."""
        order, config = order_of(self._instructions), self._config
        for unmet in order.unmet:
            hazard = Hazard.NO_TOKEN if unmet.giver is None else Hazard.CIRCLE
            yield Finding(hazard, unmet.index, unmet.giver, unmet.producer.name, None, None)
        for fill in unordered_fills(self._instructions, order):
            yield Finding(Hazard.FILLS, fill.later, fill.earlier, "weight FIFO", None, None)
        chip = _Memory("scratchpad", np.arange(config.activation_words))
        memory = _Memory("memory", self._stored())
        for index, one in enumerate(self._instructions):
            if one.UNIT is None:
                continue
            clock, found = order.clocks[index], self._accesses(index)
            self.accessed += found.count
            self._require_few(self.accessed)
            yield from chip.access(index, one.UNIT, clock, found.reads, found.writes)
            yield from memory.access(index, one.UNIT, clock, found.memory_reads, found.memory_writes)

    def _accesses(self, index: int) -> Accesses:
        try:
            return accesses(self._instructions[index], self._config)
        except EncodingError as error:
            raise EncodingError(f"instruction {index} ({self._instructions[index].mnemonic()}): {error}") from None

    def _stored(self) -> Words:
        """The memory words that are written; accesses to all others may be in any order."""
        stored, accessed = [NONE], 0
        for index, one in enumerate(self._instructions):
            if isinstance(one, Store):
                stored.append(self._accesses(index).memory_writes)
                accessed += len(stored[-1])
                self._require_few(accessed)
        return distinct(np.sort(np.concatenate(stored)))

    @staticmethod
    def _require_few(accessed: int) -> None:
        if accessed > MOST_ACCESSED:
            raise EncodingError(f"its instructions access more than {MOST_ACCESSED:,} words, too many to be looked at")
