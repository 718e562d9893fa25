"""Weights of nine bits and of two units in the emulator: exact products, and the order of the program."""

import numpy as np
import pytest
from latency_programs import program_of
from numpy.typing import NDArray

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction, Units
from arrayloom.isa.instructions import CentredConvolve, Convolve, FeedWeights, LoadWeights, Turn
from arrayloom.sim.emulator import Emulator, EmulatorError, Machine
from arrayloom.sim.emulator.attention import Attention
from arrayloom.sim.emulator.convolve import Convolver

VIT = PRESETS["tiny-vit"]
N = VIT.size
BLOCKS = 700        # channel blocks, whose products float32 does not hold at once


@pytest.mark.parametrize("cls", [Convolve, CentredConvolve])
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_products_of_nine_bits_are_exact(cls: type[Convolve], repeats: int) -> None:
    """Of factors that are the largest or nearly so, whose products are odd."""
    machine = Machine(VIT, np.zeros(0, np.uint8))
    byte, activation = (-128, -255) if cls is CentredConvolve else (-127, -127)
    machine.activations[:BLOCKS] = byte
    weights = np.full((BLOCKS * repeats * N, N), -255, np.int16)
    weights[::7] = 254
    machine.weights.append(weights)
    Convolver(machine).run(cls(height=1, width=1, source_height=1, source_width=1, row_pitch=1, plane_pitch=1, blocks=BLOCKS,
                               repeats=repeats, padding=127, first=1, last=1))
    assert machine.full[0].tolist() == [(weights.astype(np.int64) * activation).sum(0).tolist()]


def _message(*instructions: Instruction) -> str:
    with pytest.raises(EmulatorError) as raised:
        Emulator(program_of(VIT, list(instructions)), VIT).execute(np.zeros(1 << 18, np.uint8), False)
    return str(raised.value)


FED = FeedWeights(source=0, pitch=N, tiles=1, rows=N)


def test_fills_without_tokens_are_refused() -> None:
    assert _message(LoadWeights(words=N), FED) == (
        "instruction 1 (feed_weights): fills the weight FIFO, but does not wait for instruction 0 (load_weights), which "
        "fills it before: a token of LOAD is missing")
    assert "(load_weights): fills the weight FIFO, but does not wait for instruction 0 (feed_weights)" in _message(
        FED, LoadWeights(words=N))


def test_fills_with_tokens_are_not() -> None:
    load = LoadWeights(words=N, signal=Units.ATTENTION)
    assert "weights left over" in _message(load, FED.changed(wait=Units.LOAD))


@pytest.mark.parametrize("fields", [{"tiles": 0}, {"rows": 0}, {"rows": N + 1}])
def test_rules_of_squares(fields: dict[str, int]) -> None:
    attention = Attention(Machine(VIT, np.zeros(0, np.uint8)))
    good = {"source": 0, "pitch": N, "tiles": 1, "rows": N}
    with pytest.raises(EmulatorError, match="at least one"):
        attention.turn(Turn(**good | fields, destination=100, destination_pitch=N))
    with pytest.raises(EmulatorError, match="at least one"):
        attention.feed(FeedWeights(**good | fields))


def test_weights_of_both_units_are_taken_in_order() -> None:
    machine = Machine(VIT, np.zeros(0, np.uint8))
    loaded: NDArray[np.int8] = np.full((N, N), 3, np.int8)
    machine.weights.append(loaded)
    Attention(machine).feed(FED.changed(zero=-128))
    taken = machine.take_words(2 * N)
    assert taken.dtype == np.int16
    assert taken.tolist() == [[3] * N] * N + [[128] * N] * N
