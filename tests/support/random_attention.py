"""Random instructions of the ATTENTION unit around their legal limits, with the instructions that they need."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from word_runs import DATA

from arrayloom.isa.accesses import FLOAT_BYTES
from arrayloom.isa.attention import softmax_table
from arrayloom.isa.fields import Instruction, Units
from arrayloom.isa.instructions import (
    BYTE_VALUES,
    COUNTED,
    EPSILON,
    FACTOR,
    CentredConvolve,
    Convolve,
    DrainAttention,
    FeedWeights,
    LoadParameters,
    LoadWeights,
    Moments,
    Normalize,
    Softmax,
    Turn,
)

if TYPE_CHECKING:
    from random_words import WordDraw

Drawn = tuple[Instruction, list[Instruction]]
Floats = NDArray[np.float32]

TABLES = 20_000         # first of the words that hold tables of a softmax, one after the other
LARGEST = float(np.finfo(np.float32).max)


def tables() -> list[Floats]:
    """Exponentials, powers of two down to zero, large values, tiny ones; then one whose sums overflow, and illegal ones."""
    ones = np.ones(BYTE_VALUES, np.float32)
    powers = np.ldexp(np.float32(1), np.arange(1 - BYTE_VALUES, 1)).astype(np.float32)
    large = np.full(BYTE_VALUES, LARGEST / 128, np.float32)
    refused = [ones.copy() for _ in range(4)]
    for table, (place, value) in zip(refused, [(9, -1.0), (254, np.inf), (255, 0.0), (0, np.nan)], strict=True):
        table[place] = value
    return [softmax_table(np.float32(0.1), 17), powers, large, 0 * ones + np.float32(2.0**-149), large * 127, *refused]


SOUND = 4       # tables at the beginning whose sums overflow at most at the accumulator depth


class AttentionDraw:
    """Draws instructions for the configuration of ``draw``, whose scratchpad then holds tables of a softmax."""

    def __init__(self, draw: "WordDraw") -> None:
        self.draw, self.config, self.size = draw, draw.config, draw.config.size
        self.table_words = BYTE_VALUES * FLOAT_BYTES // self.size
        self.tables = tables()
        for index, table in enumerate(self.tables):
            words = np.frombuffer(table.tobytes(), np.int8).reshape(-1, self.size)
            draw.scratchpad[self._table(index):self._table(index + 1)] = words
        self.makers = [self.feed_weights, self.feed_weights, self.turn, self.softmax, self.softmax, self.moments,
                       self.normalize, self.drain, self.centred_convolve]

    def _table(self, index: int) -> int:
        return TABLES + index * self.table_words

    def centred_convolve(self) -> Drawn:
        return self.draw.convolve(CentredConvolve)

    def _squares(self, most: int) -> dict[str, int]:
        draw, size = self.draw, self.size
        rows = draw.between(1, size) if draw.chance(0.9) else draw.pick(0, size + 1, 255)
        tiles, pitch = draw.extent(most), draw.between(0, 2 * size) if draw.chance(0.9) else draw.between(0, 1 << 18)
        reach = max((tiles - 1) * pitch + rows, 1)
        return {"source": draw.near(min(reach, self.config.activation_words)), "pitch": pitch, "tiles": tiles, "rows": rows}

    def feed_weights(self) -> Drawn:
        """Alone, or with a LoadWeights before or after it, which waits or is waited for in most cases."""
        draw, size = self.draw, self.size
        most = draw.pick(4, 4, 4, 80)
        subject = FeedWeights(**self._squares(most), turned=draw.between(0, 1), zero=draw.between(-128, 127))
        others, ordered = draw.between(8, 20) if draw.chance(0.5) else 0, draw.chance(0.8)
        if not ordered:     # so long that it is not complete by chance when the other is accepted
            subject = subject.changed(tiles=max(subject.tiles, 4), rows=size)
        fed: list[Instruction] = [subject]
        load = LoadWeights(address=0, words=others * size)
        if others and draw.chance(0.5):
            subject = subject.changed(wait=Units.LOAD if ordered else 0)
            fed = [load.changed(signal=Units.ATTENTION if ordered else 0), subject]
        elif others:
            subject = subject.changed(signal=Units.LOAD if ordered else 0)
            fed = [subject, load.changed(wait=Units.ATTENTION if ordered else 0)]
        tiles = subject.tiles + others
        used = draw.convolve_with(CentredConvolve if draw.chance(0.5) else Convolve, tiles) if tiles else []
        return subject, [*fed, *used, *draw.drained(1, 1)]

    def turn(self) -> Drawn:
        draw, squares = self.draw, self._squares(6)
        pitch = draw.between(0, 2 * self.size) if draw.chance(0.9) else draw.between(0, 1 << 18)
        reach = max((squares["tiles"] - 1) * pitch + self.size, 1)
        subject = Turn(**squares, destination=draw.near(min(reach, self.config.activation_words)), destination_pitch=pitch)
        return subject, [subject]

    def _softmax(self, width: int) -> Softmax:
        draw = self.draw
        return Softmax(source=draw.near(max(width, 1)), width=width, table=self._table(draw.between(0, SOUND - 1)),
                       factor=draw.pick(1, 255, 256, (1 << FACTOR) - 1, draw.between(1, (1 << FACTOR) - 1)))

    def _width(self, most: int = 9) -> int:
        depth = self.config.accumulator_depth
        return self.draw.extent(most) if self.draw.chance(0.9) else self.draw.pick(depth, depth + 1, (1 << 16) - 1)

    def softmax(self) -> Drawn:
        draw, subject = self.draw, self._softmax(self._width())
        if draw.chance(0.2):
            other = draw.between(SOUND, len(self.tables) - 1)
            subject = subject.changed(table=self._table(other) if draw.chance(0.7) else draw.near(self.table_words))
        subject = draw.anything(subject, "factor", "table", "source")
        return subject, [subject, *self._drained(subject.width)]

    def _moments(self, width: int) -> Moments:
        draw, size = self.draw, self.size
        blocks = draw.between(1, 4)
        channels, planes = (blocks - 1) * size + draw.between(1, size), draw.between(0, 20)
        epsilon = draw.pick(1, (1 << EPSILON) - 1, 1 << draw.between(0, EPSILON - 1))
        return Moments(source=draw.near((blocks - 1) * planes + max(width, 1)), plane_pitch=planes, blocks=blocks,
                       channels=channels, width=width, epsilon=epsilon)

    def moments(self) -> Drawn:
        draw, subject = self.draw, self._moments(self._width())
        if draw.chance(0.2):
            subject = subject.changed(channels=draw.pick(0, subject.blocks * self.size + 1, (1 << COUNTED) - 1))
        subject = draw.anything(subject, "plane_pitch", "epsilon", "source", "blocks")
        return subject, [subject, *self._normalized(subject.width)]

    def normalize(self) -> Drawn:
        draw, width = self.draw, self._width()
        moments = self._moments(min(max(width, 1), self.config.accumulator_depth))
        if draw.chance(0.1):
            moments = moments.changed(width=max(1, moments.width - 1))
        normalize, *drained = self._normalized(width)
        subject = draw.anything(normalize, "source", "signs")
        return subject, [*([moments] if draw.chance(0.95) else []), subject, *drained]

    def _normalized(self, width: int) -> list[Instruction]:
        draw = self.draw
        return [Normalize(source=draw.near(max(width, 1)), width=width, signs=draw.near(1)), *self._drained(width)]

    def drain(self) -> Drawn:
        """A Drain of a softmax or of normalized elements, of as many pixels in most cases."""
        draw = self.draw
        subject, pixels, tables = draw.drain_of(DrainAttention)
        filled = min(max(pixels if draw.chance(0.8) else pixels + draw.pick(-1, 1, 8), 1), self.config.accumulator_depth)
        fills: list[Instruction] = [self._softmax(filled)]
        if draw.chance(0.5):
            fills = [self._moments(filled), Normalize(source=5000, width=filled, signs=draw.between(0, 99))]
        parameters = LoadParameters(address=DATA, entries=self.config.groups)
        return subject, [*tables, *fills, parameters, subject]

    def _drained(self, width: int) -> list[Instruction]:
        drain = DrainAttention(height=1, width=min(max(width, 1), self.config.accumulator_depth), destination=9000,
                               destination_pitch=width, release_parameters=1)
        return [LoadParameters(address=DATA, entries=self.config.groups), drain]
