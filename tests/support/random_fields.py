"""Random values of single fields around their legal limits, and the work of an instruction."""

import numpy as np
from numpy.typing import NDArray
from word_runs import CODE

from arrayloom.isa.accesses import accesses
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    Convolve,
    Depthwise,
    Drain,
    Elementwise,
    FeedWeights,
    LoadActivations,
    LoadWeights,
    Moments,
    Normalize,
    Pool,
    PostInstruction,
    Softmax,
    Store,
    Turn,
)
from arrayloom.sim.emulator.window import window

CODE_BYTES = 1 << 11    # larger than any program
ANY_ODDS = 0.04         # probability of an arbitrary field value, of a reserved bit, of a token for the unit itself


class FieldDraw:
    """Draws fields for ``config``; the same seed draws the same fields."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.rng = config, np.random.default_rng(seed)

    def chance(self, odds: float) -> bool:
        return bool(self.rng.random() < odds)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, *values: int) -> int:
        return int(self.rng.choice(values))

    def extent(self, most: int = 7, odds: float = 0.07) -> int:
        return 0 if self.chance(odds) else self.between(1, most)

    def near(self, end: int, least: int = 0) -> int:
        """A start address whose region of ``end`` words ends anywhere, or around the end of the scratchpad."""
        top = self.config.activation_words
        if self.chance(0.4):
            return min(max(top - end + self.pick(-1, 0, 0, 1), least), (1 << 20) - 1)
        return self.between(least, top) if self.chance(0.9) else self.between(top, (1 << 20) - 1)

    def pitch(self, width: int) -> int:
        if self.chance(ANY_ODDS):
            return self.pick(0, 0xFFFF, self.between(0, 0xFFFF))
        return width + self.between(0, 4)

    def anything(self, instruction: Instruction, *names: str) -> Instruction:
        """Occasionally replaces one of these fields by an arbitrary or extreme value of its bits."""
        for spec in instruction.specs():
            if spec.name in names and self.chance(ANY_ODDS):
                value = self.pick(spec.low, spec.high) if self.chance(0.5) else self.between(spec.low, spec.high)
                instruction = instruction.changed(**{spec.name: value})
        return instruction

    def address(self, words: int) -> int:
        """An address for a transfer: mostly of whole words, within memory and outside the code."""
        size = self.config.size
        first = self.between(0, CODE // size - 1 - min(words, CODE // size - 1)) * size
        return first + self.between(1, size - 1) if self.chance(0.06) else first

    def pick_name(self, *names: str) -> str:
        return names[self.rng.integers(len(names))]


def work_of(subject: Instruction, config: Config) -> int:
    """Words that the instruction reads or writes, including those it causes others to load."""
    if isinstance(subject, LoadWeights):
        return subject.words
    if isinstance(subject, LoadActivations | Store):
        return subject.rows * subject.words
    if isinstance(subject, Convolve):
        pixels = subject.height * subject.width
        return subject.tiles * max(config.size, pixels if pixels <= config.accumulator_depth else 0)
    if isinstance(subject, Depthwise):
        pixels = subject.height * subject.width
        return (subject.repeats * subject.taps_y * subject.taps_x * max(1, subject.stride_x % 3)
                * (pixels if pixels <= config.accumulator_depth else 0))
    if isinstance(subject, FeedWeights | Turn):
        return subject.tiles * config.size
    if isinstance(subject, Softmax | Moments | Normalize):
        return subject.width * (subject.blocks if isinstance(subject, Moments) else 1)
    if isinstance(subject, Pool):
        return subject.height * subject.width * subject.taps_y * subject.taps_x
    return subject.height * subject.width if isinstance(subject, Drain | Elementwise) else 0


def overlaps(subject: Instruction, config: Config) -> bool:
    """Whether it overwrites words that it reads, or the code."""
    size = config.size
    if isinstance(subject, Turn):
        found = accesses(subject, config)
        return bool(np.isin(found.writes, found.reads).any())
    if isinstance(subject, Store):
        first = subject.address + np.arange(subject.rows) * subject.memory_pitch * size
        return bool(((first < CODE + CODE_BYTES) & (first + subject.words * size > CODE)).any())
    if not isinstance(subject, Drain | Elementwise | Pool) or not subject.height * subject.width:
        return False
    reads = [np.zeros(0, np.int64)]
    if isinstance(subject, Elementwise):
        reads.append(_region(subject, subject.source, subject.source_pitch))
    if isinstance(subject, Pool) and subject.taps_y * subject.taps_x:
        addresses, inside = window(subject)
        reads.append(addresses[inside])
    if isinstance(subject, Drain | Elementwise) and subject.add:
        reads.append(_region(subject, subject.residual, subject.residual_pitch))
    written = _region(subject, subject.destination, subject.destination_pitch)
    return bool(np.isin(written, np.concatenate(reads)).any())


def _region(subject: PostInstruction, first: int, pitch: int) -> NDArray[np.int64]:
    return (first + np.arange(subject.height)[:, None] * pitch + np.arange(subject.width)).ravel()
