"""Whether tokens order every two accesses to a word of which one is a write.

``arrayloom.isa.order`` determines what is complete when an instruction reads and writes. A unit keeps its own order where it
writes: its writes do not overtake its earlier reads and writes. Its reads may overtake its own earlier writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import NONE, Accesses, Words, accesses, distinct
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import Store
from arrayloom.isa.order import NEVER, Clock, order_of
from arrayloom.isa.program import Program

MOST_ACCESSED = 1 << 30     # words of all instructions of a program; ResNet-152 at 16x16 has a twentieth of that


class Hazard(StrEnum):
    """What may happen in the wrong order."""

    READ_AFTER_WRITE = "read after write"
    WRITE_AFTER_READ = "write after read"
    WRITE_AFTER_WRITE = "write after write"
    NO_TOKEN = "waits for a token that no instruction gives"
    CIRCLE = "waits for an instruction that waits for it"


@dataclass(frozen=True)
class Finding:
    """Two instructions that no token orders, or one that waits for ever.

    Attributes
    ----------
    hazard
        What may happen.
    later
        Index of the instruction that comes after ``earlier`` in the program and may not wait for it; of the one that
        waits, where waits have no end.
    earlier
        The other one, which in a circle may come after it; None for a token that nobody gives.
    place
        ``scratchpad`` or ``memory``, or the unit that is waited for.
    word
        The first word that both access, of memory from its base; None where waits have no end.
    last_word
        The last one; words between them need not be accessed.
    """

    hazard: Hazard
    later: int
    earlier: int | None
    place: str
    word: int | None
    last_word: int | None


def find_hazards(program: Program) -> Iterator[Finding]:
    """Every unordered pair of accesses, of each instruction the latest one of each unit that it does not wait for.

    Accesses beyond the scratchpad are not looked at: the accelerator refuses them. Raises ``EncodingError`` for instructions
    that are none, and for programs that access more words than can be looked at (``MOST_ACCESSED``).
    """
    yield from HazardCheck(program).findings()


class _Memory:
    """The last instruction of each unit that read and wrote each of some ``words``, in ascending order."""

    def __init__(self, name: str, words: Words) -> None:
        self.name, self._words = name, words
        self._read: dict[Unit, NDArray[np.int32]] = {}
        self._written: dict[Unit, NDArray[np.int32]] = {}

    def access(self, index: int, unit: Unit, clock: Clock, reads: Words, writes: Words) -> Iterator[Finding]:
        """Findings of an instruction, and a note of what it does."""
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
        """Where those of the words that are looked at stand."""
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
    """A look at a program.

    Attributes
    ----------
    accessed
        Words of all instructions that were looked at so far, each as often as an instruction accesses it.
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
        """The words of memory that are written; accesses to all others are in any order."""
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
