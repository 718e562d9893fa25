"""LOAD's supplies through FIFOs: parts of loads, and the amounts that instructions need and take."""

import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    THRESHOLDS,
    Convolve,
    Drain,
    Elementwise,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
    Store,
)
from arrayloom.isa.supplies import Supply, part, supplied, taken, used

CONFIG = PRESETS["16x16"]


@pytest.mark.parametrize(("instruction", "expected"), [
    (LoadWeights(words=48), (Supply.WEIGHTS, 48)), (LoadParameters(entries=7), (Supply.PARAMETERS, 7)),
    (LoadLookupTable(), (Supply.LOOKUP_TABLES, 1)), (LoadActivations(words=5, rows=2), None), (Store(words=5, rows=2), None),
])
def test_what_is_put_in(instruction: Instruction, expected: tuple[Supply, int] | None) -> None:
    assert supplied(instruction) == expected


@pytest.mark.parametrize(("instruction", "supply", "needs", "takes"), [
    (Convolve(blocks=3, taps_y=2, taps_x=5, repeats=2), Supply.WEIGHTS, 60 * 16, 60 * 16),
    (Drain(), Supply.WEIGHTS, 0, 0), (Drain(), Supply.PARAMETERS, 4, 0),
    (Drain(release_parameters=1), Supply.PARAMETERS, 4, 4),
    (Pool(kind=PoolKind.AVERAGE, release_parameters=1), Supply.PARAMETERS, THRESHOLDS, THRESHOLDS),
    (Pool(kind=PoolKind.SUM), Supply.PARAMETERS, 4, 0),
    (Pool(kind=PoolKind.MAXIMUM, release_parameters=1), Supply.PARAMETERS, 0, 0),
    (Elementwise(release_parameters=1), Supply.PARAMETERS, 0, 0),
    (Elementwise(lookup_table=1), Supply.LOOKUP_TABLES, 1, 0),
    (Elementwise(release_lookup_table=1), Supply.LOOKUP_TABLES, 1, 1),
    (LoadWeights(words=16), Supply.WEIGHTS, 0, 0),
])
def test_what_is_needed_and_taken(instruction: Instruction, supply: Supply, needs: int, takes: int) -> None:
    assert used(instruction, supply, CONFIG) == needs
    assert taken(instruction, supply, CONFIG) == takes


def test_parts_of_loads() -> None:
    assert part(LoadWeights(address=160, words=48, wait=4), 16, 32, CONFIG) == LoadWeights(address=416, words=32, wait=4)
    assert part(LoadParameters(address=64, entries=8), 3, 2, CONFIG) == LoadParameters(address=64 + 3 * 32, entries=2)
    assert part(LoadLookupTable(address=32), 0, 1, CONFIG) == LoadLookupTable(address=32)
    for load, first, count in ((LoadWeights(words=48), 40, 16), (LoadWeights(words=48), 0, 0), (Store(), 0, 1)):
        with pytest.raises(ValueError, match=f"{count} from number {first} on"):
            part(load, first, count, CONFIG)
