"""Whether tokens order every two accesses to a word of which one is a write.

Units take their instructions in order and complete them in order, and each begins the next before earlier ones are complete.
So an instruction knows of every unit the latest instruction that is complete when it begins, a vector clock: what the giver
of a token knew, its taker knows too (``arrayloom.isa.tokens``). The rules of the hardware beside that:

- A unit keeps its own order where it writes: its writes do not overtake its earlier reads and writes. Its reads may overtake
  its own earlier writes.
- A Drain reads and writes nothing before its accumulator bank is full: it knows what the Convolve that filled it knew.
  Instructions after it do not, for the POST unit reads their operands ahead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import NONE, Accesses, Words, accesses
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import Convolve, Drain, Store
from arrayloom.isa.program import Program
from arrayloom.isa.tokens import NO_GIVER, token_givers

NEVER = -1
MOST_ACCESSED = 1 << 30     # words of all instructions of a program; ResNet-152 at 16x16 has a twentieth of that

Clock = NDArray[np.int64]      # [units]: the latest instruction of each that is complete


class Hazard(StrEnum):
    """What may happen in the wrong order."""

    READ_AFTER_WRITE = "read after write"
    WRITE_AFTER_READ = "write after read"
    WRITE_AFTER_WRITE = "write after write"
    NO_TOKEN = "waits for a token that no instruction gives"


@dataclass(frozen=True)
class Finding:
    """Two instructions that no token orders.

    Attributes:
        hazard: what may happen.
        later: index of the instruction that comes after ``earlier`` in the program and may not wait for it.
        earlier: the other one; None for a token that nobody gives.
        place: ``scratchpad`` or ``memory``, or the unit whose token it is.
        word: the first word that both access, of memory from its base; None for a token.
    """

    hazard: Hazard
    later: int
    earlier: int | None
    place: str
    word: int | None


def find_hazards(program: Program) -> Iterator[Finding]:
    """Every unordered pair of accesses, of each instruction the latest one that it does not wait for.

    Accesses beyond the scratchpad are not looked at: the accelerator refuses them. Raises ``EncodingError`` for instructions
    that are none, and for programs that access more words than can be looked at (``MOST_ACCESSED``).
    """
    yield from _Checker(program).findings()


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
            latest = int(seen.argmax())
            if seen[latest] > clock[unit]:
                yield Finding(hazard, index, int(seen[latest]), self.name, int(self._words[words[latest]]))


class _Checker:
    def __init__(self, program: Program) -> None:
        self._program, self._config = program, program.configuration
        self._instructions: list[Instruction] = list(program)
        self._givers = token_givers(self._instructions)
        self._clocks: dict[int, Clock] = {}
        self._known = {unit: np.full(len(Unit), NEVER, np.int64) for unit in Unit}
        self._filling: list[int] = [index for index, one in enumerate(self._instructions)
                                    if isinstance(one, Convolve) and one.last]
        self._drains = 0

    def findings(self) -> Iterator[Finding]:
        config, accessed = self._config, 0
        chip = _Memory("scratchpad", np.arange(config.activation_words))
        memory = _Memory("memory", self._stored())
        for index, one in enumerate(self._instructions):
            if one.UNIT is None:
                continue
            yield from self._wait(index, one.UNIT)
            clock, found = self._clocks[index], self._accesses(index)
            accessed += found.count
            self._require_few(accessed)
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
        words = np.sort(np.concatenate(stored))
        return words[np.diff(words, prepend=NEVER) > 0]

    @staticmethod
    def _require_few(accessed: int) -> None:
        if accessed > MOST_ACCESSED:
            raise EncodingError(f"its instructions access more than {MOST_ACCESSED:,} words, too many to be looked at")

    def _wait(self, index: int, unit: Unit) -> Iterator[Finding]:
        """Notes what is complete when an instruction begins."""
        known = self._known[unit].copy()
        for producer in Unit:
            if not self._instructions[index].wait >> producer & 1:
                continue
            giver = int(self._givers[producer][index])
            if giver != NO_GIVER:
                known = self._after(known, giver, producer)
            elif producer is not unit:      # an instruction without earlier ones of its unit waits for nothing
                yield Finding(Hazard.NO_TOKEN, index, None, producer.name, None)
        self._known[unit] = known
        if isinstance(self._instructions[index], Drain):
            if self._drains < len(self._filling):
                known = self._after(known, self._filling[self._drains], Unit.ARRAY)
            self._drains += 1
        self._clocks[index] = known

    def _after(self, known: Clock, complete: int, unit: Unit) -> Clock:
        """What is known where an instruction is complete, perhaps one that comes later in the program and is not begun."""
        merged = np.maximum(known, self._clocks.get(complete, known))
        merged[unit] = max(merged[unit], complete)
        return merged
