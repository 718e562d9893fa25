"""Memory training at start-up, on a model of a memory whose reads are right only at some delays."""

from dataclasses import dataclass, field, replace

import pytest

from arrayloom.host.runtime.board.description import (
    DESCRIPTION,
    DESCRIPTION_BYTES,
    WORD,
    Description,
    Leveling,
    RegisterWrite,
    read_description,
)
from arrayloom.host.runtime.board.memory_start import start_memory
from arrayloom.host.runtime.errors import BoardError

KNOBS = Leveling(select=0, delay_reset=4, delay_next=8, bitslip_reset=12, bitslip_next=16, modules=2, delays=8, bitslips=4)
SYSTEM = Description(board="the model", config="tiny", digest="0", clock_hz=1, memory=0x4000_0000, memory_bytes=4096,
                     core_reset=0x100, done=0x104, memory_start=[RegisterWrite(0x200, 7), RegisterWrite(0x204, 9)],
                     leveling=KNOBS)


@dataclass
class Chip:
    """A memory two bytes wide; each byte reads right at its bitslip and within its delays.

    Attributes
    ----------
    right
        Per byte: its bitslip, its first delay and its last delay.
    """

    right: list[tuple[int, int, int]]
    port: str = "model"
    words: dict[int, int] = field(default_factory=dict)
    set: list[list[int]] = field(default_factory=lambda: [[0, 0], [0, 0]])
    selected: int = 0
    started: list[tuple[int, int]] = field(default_factory=list)

    def write(self, address: int, words: list[int]) -> None:
        if address >= SYSTEM.memory:
            self.words |= {address + WORD * index: word for index, word in enumerate(words)}
        elif address == KNOBS.select:
            self.selected = words[0].bit_length() - 1
        elif address in (KNOBS.delay_reset, KNOBS.bitslip_reset):
            self.set[self.selected][address == KNOBS.delay_reset] = 0
        elif address in (KNOBS.delay_next, KNOBS.bitslip_next):
            self.set[self.selected][address == KNOBS.delay_next] += 1
        else:
            self.started.append((address, words[0]))

    def read(self, address: int, count: int) -> list[int]:
        return [self.words[address + WORD * index] ^ self._wrong() for index in range(count)]

    def _wrong(self) -> int:
        """The bits that are wrong at the current delays."""
        masks = (0x00FF00FF, 0xFF00FF00)
        return sum(mask for mask, (bitslip, delay), (wanted, first, last) in zip(masks, self.set, self.right, strict=True)
                   if bitslip != wanted or not first <= delay <= last)


def test_each_byte_gets_the_middle_of_its_window() -> None:
    chip = Chip([(2, 3, 6), (0, 0, 4)])
    start_memory(chip, SYSTEM)
    assert chip.set == [[2, 5], [0, 2]]
    assert chip.started == [(0x200, 7), (0x204, 9)]


def test_a_memory_that_is_never_right_is_refused() -> None:
    with pytest.raises(BoardError, match=r"cannot be read at any delay \(byte 1 of its bus\)"):
        start_memory(Chip([(2, 3, 6), (9, 0, 7)]), SYSTEM)


def test_a_memory_that_forgets_is_refused() -> None:
    with pytest.raises(BoardError, match=r"does not keep .*: at 0x40000000 it holds 0x00ff00ff instead of"):
        start_memory(Chip([(1, 0, 7), (0, 0, 7)]), replace(SYSTEM, leveling=None))


class Rom:
    def __init__(self, words: list[int]) -> None:
        self.words = words + [0] * (DESCRIPTION_BYTES // WORD - len(words))

    def read(self, address: int, count: int) -> list[int]:
        first = (address - DESCRIPTION) // WORD
        return self.words[first:first + count]


def test_a_description_is_read_as_it_was_written() -> None:
    for system in (SYSTEM, replace(SYSTEM, leveling=None, memory_start=[])):
        assert read_description(Rom(system.words()).read, "port") == system


def test_damaged_descriptions_are_refused() -> None:
    words = SYSTEM.words()
    for place in range(2, len(words)):
        damaged = [*words[:place], words[place] ^ 0x10, *words[place + 1:]]
        with pytest.raises(BoardError, match=r"port: the description of the system is damaged"):
            read_description(Rom(damaged).read, "port")


def test_a_description_that_does_not_fit_is_refused() -> None:
    entries = [RegisterWrite(index * 7919, index * index) for index in range(3000)]
    with pytest.raises(BoardError, match=r"takes \d+ bytes and its ROM has 4096"):
        replace(SYSTEM, memory_start=entries).words()
