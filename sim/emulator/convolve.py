"""The Convolve instruction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import ACCUMULATOR_BANKS
from arrayloom.isa.instructions import SIGNIFICANT, CentredConvolve, Convolve
from arrayloom.sim.emulator.machine import EmulatorError, Machine, Sums, Weights
from arrayloom.sim.emulator.window import window

EXACT_PRODUCTS = 1 << SIGNIFICANT - 2 * 7   # of two bytes, that float32 adds without rounding: each is 2**14 at most


@dataclass
class Convolver:
    """Executes Convolve; keeps the last gathered activations, since all output blocks of a region read the same."""

    machine: Machine
    _key: tuple[int, ...] = ()
    _gathered: NDArray[np.float32] | None = None
    _range: tuple[int, int] = (0, 0)

    def run(self, instruction: Convolve) -> None:
        machine, size = self.machine, self.machine.config.size
        pixels = instruction.height * instruction.width
        if not 0 < pixels <= machine.config.accumulator_depth:
            raise EmulatorError(f"{pixels} pixels: an accumulator bank holds 1 to {machine.config.accumulator_depth}")
        rows = instruction.blocks * instruction.taps_y * instruction.taps_x
        if not rows * instruction.repeats:
            raise EmulatorError(f"{instruction.blocks} blocks, {instruction.taps_y} x {instruction.taps_x} taps, "
                                f"{instruction.repeats} repeats: at least one of each is needed")
        tiles = machine.take_words(rows * instruction.repeats * size)
        weights = tiles.reshape(rows, instruction.repeats, size, size)
        summed = weights[:, 0] if instruction.repeats == 1 else weights.sum(1, dtype=np.int16)
        self._accumulate(instruction, multiply(self._gather(instruction), summed.reshape(rows * size, size),
                                               self._exact_products(instruction, tiles)))

    @staticmethod
    def _exact_products(instruction: Convolve, weights: Weights) -> int:
        """Products that float32 adds without rounding: parts of a weight add up, and a ninth bit of either doubles them."""
        centred, wide = isinstance(instruction, CentredConvolve), weights.dtype != np.int8
        return EXACT_PRODUCTS // (instruction.repeats * (1 + centred) * (1 + wide))

    def written(self, low: int, high: int) -> None:
        """Activation words [low, high) have changed."""
        if low < self._range[1] and high > self._range[0]:
            self._key = ()

    def _accumulate(self, instruction: Convolve, sums: Sums) -> None:
        machine = self.machine
        if instruction.first:
            if machine.bank is not None or len(machine.full) >= ACCUMULATOR_BANKS:
                raise EmulatorError("an accumulator bank is begun while none is empty")
            machine.bank = sums
        else:
            if machine.bank is None or machine.bank.shape != sums.shape:
                raise EmulatorError("an accumulator bank is continued that was not begun with as many pixels")
            machine.bank += sums
        if instruction.last:
            machine.full.append(machine.bank)
            machine.bank = None

    def _gather(self, instruction: Convolve) -> NDArray[np.float32]:
        """float32[pixels, blocks * taps * size]."""
        i = instruction
        key = (i.source, i.row_pitch, i.plane_pitch, i.source_height, i.source_width, i.origin_y, i.origin_x, i.height,
               i.width, i.stride_y, i.stride_x, i.dilation_y, i.dilation_x, i.taps_y, i.taps_x, i.blocks, i.padding,
               i.OPCODE)
        if self._gathered is None or key != self._key:
            self._gathered = self._read(i)
            self._key = key
        return self._gathered

    def _read(self, i: Convolve) -> NDArray[np.float32]:
        addresses, inside = window(i)
        offsets = (np.arange(i.blocks) * i.plane_pitch)[:, None, None, None, None]
        everywhere = addresses + offsets
        if not inside.all():
            everywhere[:, ~inside] = 0
        self._range = int(everywhere.min()), int(everywhere.max()) + 1
        if self._range[1] > self.machine.config.activation_words:
            raise EmulatorError(f"word {self._range[1] - 1} lies outside the scratchpad")
        words = self.machine.activations[everywhere]
        if not inside.all():
            words[:, ~inside] = i.padding
        if isinstance(i, CentredConvolve):
            words = words.astype(np.int16) - np.int16(i.padding)
        steps = i.blocks * i.taps_y * i.taps_x
        pixels = i.height * i.width
        return words.reshape(steps, pixels, -1).astype(np.float32).transpose(1, 0, 2).reshape(pixels, -1)


def multiply(activations: NDArray[np.float32], weights: NDArray[np.integer | np.float32], exact: int) -> Sums:
    """The exact product, wrapping at 32 bits, in pieces of ``exact`` terms, which float32 holds exactly."""
    total = np.zeros((activations.shape[0], weights.shape[1]), np.int32)
    columns = weights.astype(np.float32, copy=False)
    for start in range(0, activations.shape[1], exact):
        part = activations[:, start:start + exact] @ columns[start:start + exact]
        total += part.astype(np.int32)
    return total
