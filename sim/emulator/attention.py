"""The instructions of the ATTENTION unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.accesses import FLOAT_BYTES
from arrayloom.isa.attention import MOST_QUOTIENT, contributions, deviations, normalized
from arrayloom.isa.config import ACCUMULATOR_BANKS
from arrayloom.isa.instructions import BYTE_VALUES, FeedWeights, Moments, Normalize, Softmax, Turn
from arrayloom.sim.emulator.machine import EmulatorError, Machine

Ints = NDArray[np.int64]


@dataclass
class Attention:
    """Executes them; keeps what Moments finds: of the pixels, the channels counted, sums and spreads."""

    machine: Machine
    _channels: int = 0
    _sums: Ints | None = None
    _spreads: Ints | None = None

    def feed(self, i: FeedWeights) -> None:
        squares = self._squares(i)
        rows = squares.swapaxes(1, 2) if i.turned else squares
        self.machine.weights.append(np.ascontiguousarray(rows).reshape(-1, self.machine.config.size))

    def turn(self, i: Turn) -> None:
        size, squares = self.machine.config.size, self._squares(i)
        addresses = i.destination + np.arange(i.tiles)[:, None] * i.destination_pitch + np.arange(size)
        if (last := int(addresses.max())) >= self.machine.config.activation_words:
            raise EmulatorError(f"word {last} lies outside the scratchpad")
        self.machine.activations[addresses] = squares.swapaxes(1, 2).astype(np.int8)

    def softmax(self, i: Softmax) -> None:
        self._require_bank(i.width)
        if not i.factor:
            raise EmulatorError("factor 0: at least one step is needed")
        size = self.machine.config.size
        words = self._words(i.table + np.arange(BYTE_VALUES * FLOAT_BYTES // size))
        table = np.frombuffer(words.tobytes(), np.float32)
        if not (np.isfinite(table).all() and (table >= 0).all() and table[-1] > 0):
            raise EmulatorError("a table of a softmax holds what is no contribution: negative, not finite, or 0 at its end")
        x = self._words(i.source + np.arange(i.width)).astype(np.int64)
        with np.errstate(over="ignore"):
            values, total = contributions(x.T, table)
        if not np.isfinite(total).all():
            raise EmulatorError("the contributions of a channel add up to more than float32 holds")
        quotient = np.rint(values.astype(np.float64) * i.factor / total[:, None].astype(np.float64))
        self._fill(np.minimum(quotient, MOST_QUOTIENT).T)

    def moments(self, i: Moments) -> None:
        self._require_pixels(i.width)
        size = self.machine.config.size
        if not i.epsilon or not (i.blocks - 1) * size < i.channels <= i.blocks * size:
            raise EmulatorError(f"{i.channels} channels in {i.blocks} blocks, epsilon {i.epsilon}: as many channels as fill "
                                "all blocks but a part of the last, and an epsilon are needed")
        addresses = i.source + np.arange(i.blocks)[:, None] * i.plane_pitch + np.arange(i.width)
        x = self._words(addresses).astype(np.int64).swapaxes(1, 2).reshape(-1, i.width)[:i.channels]
        _, spreads = deviations(x, axis=0)
        self._channels, self._sums, self._spreads = i.channels, x.sum(axis=0), spreads[0] + i.epsilon

    def normalize(self, i: Normalize) -> None:
        self._require_bank(i.width)
        if self._sums is None or self._spreads is None or len(self._sums) != i.width:
            raise EmulatorError(f"{i.width} pixels are normalized after the moments of another number")
        x = self._words(i.source + np.arange(i.width)).astype(np.int64)
        d = self._channels * x - self._sums[:, None]
        signs = np.sign(self._words(i.signs + np.arange(1)).astype(np.int64))
        self._fill(signs * normalized(d, self._spreads[:, None]))

    def _squares(self, i: FeedWeights | Turn) -> NDArray[np.int16]:
        """int16[tiles, size, size]: the words of each square, less a zero point; zeros where there are none."""
        size = self.machine.config.size
        if not i.tiles or not 0 < i.rows <= size:
            raise EmulatorError(f"{i.tiles} squares of {i.rows} words: at least one, of 1 to {size} words")
        words = self._words(i.source + np.arange(i.tiles)[:, None] * i.pitch + np.arange(i.rows)).astype(np.int16)
        zero = i.zero if isinstance(i, FeedWeights) else 0
        squares = np.zeros((i.tiles, size, size), np.int16)
        squares[:, :i.rows] = words - np.int16(zero)
        return squares

    def _fill(self, sums: Ints | NDArray[np.float64]) -> None:
        self.machine.attention_full.append(sums.astype(np.int32))

    def _require_bank(self, pixels: int) -> None:
        self._require_pixels(pixels)
        if len(self.machine.attention_full) >= ACCUMULATOR_BANKS:
            raise EmulatorError("a bank of the ATTENTION unit's sums is begun while none is empty")

    def _require_pixels(self, pixels: int) -> None:
        if not 0 < pixels <= self.machine.config.accumulator_depth:
            raise EmulatorError(f"{pixels} pixels: a bank of sums holds 1 to {self.machine.config.accumulator_depth}")

    def _words(self, addresses: Ints) -> NDArray[np.int8]:
        if (last := int(addresses.max())) >= self.machine.config.activation_words:
            raise EmulatorError(f"word {last} lies outside the scratchpad")
        return self.machine.activations[addresses]
