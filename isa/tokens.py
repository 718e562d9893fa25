"""Determines whose token a waiting instruction takes.

Tokens are anonymous: there is a counter for each ordered pair of units, and both units work in program order. Therefore the
k-th instruction that waits for a producer takes the token of the producer's k-th instruction that signals its unit. An
instruction that waits for its own unit waits for the end of the unit's previous instruction.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.fields import Instruction, Unit, units_in

NO_GIVER = -1

Pair = tuple[Unit, Unit]    # producer, consumer


def token_givers(instructions: Sequence[Instruction]) -> dict[Unit, NDArray[np.int64]]:
    """The instruction whose token or end each instruction waits for, by the producing unit.

    Returns
    -------
        For each producer int64[n], indices into ``instructions``; ``NO_GIVER`` for an instruction that does not wait
        for the producer, or if no instruction gives the token.
    """
    given = _given(instructions)
    taken = dict.fromkeys(given, 0)
    before = dict.fromkeys(Unit, NO_GIVER)
    result = {producer: np.full(len(instructions), NO_GIVER, np.int64) for producer in Unit}
    for index, one in enumerate(instructions):
        unit = one.UNIT
        if unit is None:
            continue
        for producer in units_in(one.wait):
            if producer is unit:
                result[producer][index] = before[unit]
                continue
            pair = producer, unit
            if taken[pair] < len(given[pair]):
                result[producer][index] = given[pair][taken[pair]]
            taken[pair] += 1
        before[unit] = index
    return result


def _given(instructions: Sequence[Instruction]) -> dict[Pair, list[int]]:
    """The instructions that give a token, in order, by producer and consumer."""
    given: dict[Pair, list[int]] = {(producer, consumer): [] for producer in Unit for consumer in Unit}
    for index, one in enumerate(instructions):
        if one.UNIT is not None:
            for consumer in units_in(one.signal):
                given[one.UNIT, consumer].append(index)
    return given
