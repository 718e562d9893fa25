"""Unordered accesses of each kind are found, and ordered ones are not reported."""

import numpy as np
import pytest
from dropped_tokens import waits_of, without
from latency_programs import program_of

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.isa.accesses import accesses
from arrayloom.isa.config import PRESETS
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Instruction, Units
from arrayloom.isa.hazards import Finding, Hazard, find_hazards
from arrayloom.isa.instructions import (
    Convolve,
    Drain,
    Elementwise,
    FeedWeights,
    LoadActivations,
    LoadParameters,
    LoadWeights,
    Pool,
    Store,
)

TINY = PRESETS["tiny"]
LOAD = LoadActivations(address=0, destination=0, words=8, rows=1)
STORE = Store(address=0x800, source=0, words=8, rows=1)
CONVOLVE = Convolve(source=0, row_pitch=8, source_height=1, source_width=8, height=1, width=4, first=1, last=1)
DRAIN = Drain(destination=16, destination_pitch=4, height=1, width=4, release_parameters=1)
ELEMENTWISE = Elementwise(source=0, source_pitch=8, destination=16, destination_pitch=8, height=1, width=8)
TILE = [LoadWeights(words=4), LoadParameters(entries=2)]


def hazards(*instructions: Instruction) -> list[Finding]:
    return list(find_hazards(program_of(TINY, list(instructions))))


UNORDERED: dict[str, tuple[list[Instruction], Finding]] = {
    "a store of what is loaded": ([LOAD, STORE], Finding(Hazard.READ_AFTER_WRITE, 1, 0, "scratchpad", 0, 7)),
    "one word of it": ([LOAD, STORE.changed(source=7)], Finding(Hazard.READ_AFTER_WRITE, 1, 0, "scratchpad", 7, 7)),
    "a convolution of what is loaded": (
        [LOAD, *TILE, CONVOLVE, DRAIN], Finding(Hazard.READ_AFTER_WRITE, 3, 0, "scratchpad", 0, 3)),
    "an operand of what POST has made": (
        [ELEMENTWISE, ELEMENTWISE.changed(source=16, destination=32)],
        Finding(Hazard.READ_AFTER_WRITE, 1, 0, "scratchpad", 16, 23)),
    "a residual": ([LOAD, ELEMENTWISE.changed(source=100, add=1, residual=4, residual_pitch=8)],
                   Finding(Hazard.READ_AFTER_WRITE, 1, 0, "scratchpad", 4, 7)),
    "a load over what is stored": ([STORE, LOAD], Finding(Hazard.WRITE_AFTER_READ, 1, 0, "scratchpad", 0, 7)),
    "a load over what is convolved": (
        [*TILE, CONVOLVE, DRAIN, LOAD.changed(destination=3, words=1)],
        Finding(Hazard.WRITE_AFTER_READ, 4, 2, "scratchpad", 3, 3)),
    "a load over a result": ([ELEMENTWISE, LOAD.changed(destination=20)],
                             Finding(Hazard.WRITE_AFTER_WRITE, 1, 0, "scratchpad", 20, 23)),
    "memory that is stored and loaded": (
        [STORE, LOAD.changed(address=0x810, destination=50)],
        Finding(Hazard.READ_AFTER_WRITE, 1, 0, "memory", 0x204, 0x207)),
    "a result over what is loaded": (
        [LOAD, ELEMENTWISE.changed(source=100, destination=4)],
        Finding(Hazard.WRITE_AFTER_WRITE, 1, 0, "scratchpad", 4, 7)),
    "rows between which others lie": (
        [LOAD.changed(words=2, rows=3, chip_pitch=10), STORE.changed(source=1, words=1, rows=3, chip_pitch=10)],
        Finding(Hazard.READ_AFTER_WRITE, 1, 0, "scratchpad", 1, 21)),
    "weights that are stored over": (
        [LoadWeights(address=0x800, words=4), STORE], Finding(Hazard.WRITE_AFTER_READ, 1, 0, "memory", 0x200, 0x203)),
    "an operand after a drain": (      # POST reads it before the drain knows of the load
        [LOAD, *TILE, CONVOLVE.changed(wait=Units.LOAD), DRAIN, ELEMENTWISE.changed(destination=40)],
        Finding(Hazard.READ_AFTER_WRITE, 5, 0, "scratchpad", 0, 7)),
}


@pytest.mark.parametrize("case", UNORDERED)
def test_what_no_token_orders_is_found(case: str) -> None:
    instructions, finding = UNORDERED[case]
    signals = {0: Units.ARRAY} if case == "an operand after a drain" else {}
    given = [one.changed(signal=signals.get(index, 0)) for index, one in enumerate(instructions)]
    assert finding in hazards(*given)


ORDERED: dict[str, list[Instruction]] = {
    "a token": [LOAD.changed(signal=Units.STORE), STORE.changed(wait=Units.LOAD)],
    "a token of a later instruction": [
        LOAD, LOAD.changed(destination=50, signal=Units.STORE), STORE.changed(wait=Units.LOAD)],
    "a token by way of another unit": [
        LOAD.changed(signal=Units.POST),
        ELEMENTWISE.changed(source=200, destination=300, wait=Units.LOAD, signal=Units.STORE),
        STORE.changed(wait=Units.POST)],
    "a token that an earlier instruction took": [
        LOAD.changed(signal=Units.STORE), STORE.changed(source=90, wait=Units.LOAD), STORE.changed(address=0x900)],
    "its own earlier instructions": [ELEMENTWISE, ELEMENTWISE.changed(source=16, destination=32, wait=Units.POST)],
    "a drain after its convolution": [
        LOAD.changed(signal=Units.ARRAY), *TILE, CONVOLVE.changed(wait=Units.LOAD),
        DRAIN.changed(add=1, residual=0, residual_pitch=4)],
    "a token after a drain": [     # the operation's completion implies the drain's, and all that the drain waited for
        LOAD.changed(signal=Units.ARRAY), *TILE, CONVOLVE.changed(wait=Units.LOAD), DRAIN.changed(destination=100),
        ELEMENTWISE.changed(source=200, destination=300, signal=Units.STORE), STORE.changed(wait=Units.POST)],
    "a token from further down": [
        ELEMENTWISE.changed(source=200, destination=300, wait=Units.STORE, signal=Units.LOAD),
        LOAD.changed(destination=40, wait=Units.POST), STORE.changed(source=90, signal=Units.POST),
        STORE.changed(source=90)],
    "rows between those of another": [
        LOAD.changed(words=2, rows=3, chip_pitch=10), STORE.changed(source=2, words=8, rows=3, chip_pitch=10)],
    "a unit's own writes": [ELEMENTWISE, ELEMENTWISE.changed(source=200)],
    "other words": [LOAD, STORE.changed(source=8)],
    "two reads": [STORE, ELEMENTWISE],
}


@pytest.mark.parametrize("case", ORDERED)
def test_what_is_ordered_is_not_found(case: str) -> None:
    assert hazards(*ORDERED[case]) == []


def test_a_token_that_nobody_gives() -> None:
    assert hazards(LOAD, STORE.changed(source=50, wait=Units.POST)) == [
        Finding(Hazard.NO_TOKEN, 1, None, "POST", None, None)]


def test_instructions_that_wait_for_each_other() -> None:
    load = LOAD.changed(wait=Units.STORE, signal=Units.STORE)
    store = STORE.changed(source=50, wait=Units.LOAD, signal=Units.LOAD)
    assert hazards(load, store) == [Finding(Hazard.CIRCLE, 0, 1, "STORE", None, None)]


FED = FeedWeights(source=0, pitch=4, tiles=1, rows=4)
FILLS: dict[str, tuple[list[Instruction], list[tuple[int, int]]]] = {
    "no token": ([LoadWeights(words=4), FED], [(1, 0)]),
    "the other way round": ([FED, LoadWeights(words=4)], [(1, 0)]),
    "a token": ([LoadWeights(words=4, signal=Units.ATTENTION), FED.changed(wait=Units.LOAD)], []),
    "a token of an earlier one": (
        [LoadWeights(words=4, signal=Units.ATTENTION), LoadWeights(words=4), FED.changed(wait=Units.LOAD)], [(2, 1)]),
    "a token by way of another unit": (
        [FED.changed(signal=Units.POST),
         ELEMENTWISE.changed(source=200, destination=300, wait=Units.ATTENTION, signal=Units.LOAD),
         LoadWeights(words=4, wait=Units.POST)], []),
    "one unit alone": ([FED, FED, FED], []),
    "one of several": (
        [FED.changed(signal=Units.LOAD), LoadWeights(words=4, wait=Units.ATTENTION), FED, LoadWeights(words=8)],
        [(2, 1), (3, 2)]),
}


@pytest.mark.parametrize("case", FILLS)
def test_fills_of_two_units_are_in_order(case: str) -> None:
    instructions, expected = FILLS[case]
    found = [finding for finding in find_hazards(program_of(PRESETS["tiny-vit"], instructions))
             if finding.hazard is Hazard.FILLS]
    assert found == [Finding(Hazard.FILLS, later, earlier, "weight FIFO", None, None) for later, earlier in expected]


def test_every_token_of_a_network_is_needed() -> None:
    """Without any one of them, some access is unordered; with all, none is."""
    program = compile_model(digits.MODEL, "tiny")
    assert list(find_hazards(program)) == []
    waits = list(waits_of(program))
    assert len(waits) > 20
    for wait in waits:
        assert next(find_hazards(without(program, [wait])), None), wait


def test_windows_read_what_lies_under_them() -> None:
    """Compared with an enumeration of every pixel and tap."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        low, high = (1, 1, 1, 1, 1, 1, 1, 1, -4, -4), (6, 6, 4, 4, 4, 4, 4, 4, 5, 5)
        height, width, taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, y, x = map(int, rng.integers(low, high))
        fields = {"height": height, "width": width, "taps_y": taps_y, "taps_x": taps_x, "stride_y": stride_y,
                  "stride_x": stride_x, "dilation_y": dilation_y, "dilation_x": dilation_x, "origin_y": y, "origin_x": x,
                  "source": 70, "row_pitch": 11, "source_height": 7, "source_width": 9}
        places = {70 + 11 * row + column for row in (y + a * stride_y + i * dilation_y for a in range(height)
                                                    for i in range(taps_y)) if 0 <= row < 7
                  for column in (x + b * stride_x + j * dilation_x for b in range(width) for j in range(taps_x))
                  if 0 <= column < 9}
        assert set(accesses(Pool(**fields), TINY).reads.tolist()) == places
        planes = set(accesses(Convolve(**fields, blocks=2, plane_pitch=100), TINY).reads.tolist())
        assert planes == places | {place + 100 for place in places}


@pytest.mark.parametrize("instruction", [
    Elementwise(height=65535, width=65535), Pool(height=1, width=1, taps_y=1023, source_height=65535, source_width=65535,
                                                 stride_x=1, taps_x=1023, row_pitch=1).changed(height=65535, width=65535),
    Store(words=(1 << 20) - 1, rows=65535), Convolve(blocks=16383, source_height=4000, source_width=4000, height=4000,
                                                     width=4000)], ids=lambda one: one.mnemonic())
def test_more_words_than_there_are_is_refused_at_once(instruction: Instruction) -> None:
    with pytest.raises(EncodingError, match=rf"instruction 0 \({instruction.mnemonic()}\): it accesses .* times .* words"):
        hazards(instruction)
