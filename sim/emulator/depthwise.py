"""The Depthwise instruction."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import ACCUMULATOR_BANKS
from arrayloom.isa.instructions import Depthwise
from arrayloom.sim.emulator.machine import EmulatorError, Machine
from arrayloom.sim.emulator.window import window


def depthwise(machine: Machine, i: Depthwise) -> None:
    """Fills an accumulator bank of the DEPTHWISE unit."""
    pixels = i.height * i.width
    if not 0 < pixels <= machine.config.accumulator_depth:
        raise EmulatorError(f"{pixels} pixels: a bank of sums holds 1 to {machine.config.accumulator_depth}")
    if not i.repeats:
        raise EmulatorError("0 repeats: at least one is needed")
    if len(machine.depthwise_full) >= ACCUMULATOR_BANKS:
        raise EmulatorError("a bank of depthwise sums is begun while none is empty")
    addresses, inside = window(i)
    taps = i.taps_y * i.taps_x
    kernel = _kernel(machine, i, taps)
    words = _words(machine, addresses.reshape(taps, pixels))
    words[~inside.reshape(taps, pixels)] = i.padding
    # 49 at most 49 taps of three weights: float32 represents their sums exactly
    sums = np.einsum("tpc,tc->pc", words.astype(np.float32), kernel)
    machine.depthwise_full.append(sums.astype(np.int32))


def _kernel(machine: Machine, i: Depthwise, taps: int) -> NDArray[np.float32]:
    """float32[taps, size]: the sum of all repeats."""
    words = _words(machine, i.weights + np.arange(i.repeats * taps))
    return words.reshape(i.repeats, taps, -1).astype(np.float32).sum(0)


def _words(machine: Machine, addresses: NDArray[np.int64]) -> NDArray[np.int8]:
    if (last := int(addresses.max())) >= machine.config.activation_words:
        raise EmulatorError(f"word {last} lies outside the scratchpad")
    return machine.activations[addresses]
