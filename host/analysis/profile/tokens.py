"""Which unit a waiting instruction got its last token from."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.fields import Instruction, Unit
from arrayloom.sim.rtl.timeline import Timeline, Track


def binding_producers(timeline: Timeline, instructions: list[Instruction]) -> NDArray[np.int64]:
    """int64[n]: for each instruction the unit whose token it got last, as a number in the timeline's tracks; -1 without.

    The k-th instruction that waits for a producer takes the token of the k-th that signals its unit.
    """
    units = list(timeline.tracks)
    givers = token_givers(instructions)
    result = np.full(len(instructions), -1)
    latest = np.full(len(instructions), -1)
    for producer in Unit:
        given = givers[producer]
        waiting = np.flatnonzero(given >= 0)
        ends = end_cycles(timeline.tracks[producer.name], given[waiting], timeline.cycles)
        later = ends > latest[waiting]
        result[waiting[later]] = units.index(producer.name)
        latest[waiting[later]] = ends[later]
    return result


def token_givers(instructions: list[Instruction]) -> dict[Unit, NDArray[np.int64]]:
    """For each producer int64[n]: the instruction whose token each instruction takes from it, -1 where it takes none.

    An instruction that waits for its own unit takes the completion of that unit's instruction before it.
    """
    given: dict[tuple[Unit, Unit], list[int]] = {(p, c): [] for p in Unit for c in Unit}
    for index, one in enumerate(instructions):
        if one.UNIT is not None:
            for consumer in Unit:
                if one.signal >> consumer & 1:
                    given[one.UNIT, consumer].append(index)
    taken = dict.fromkeys(given, 0)
    before = dict.fromkeys(Unit, -1)
    result = {producer: np.full(len(instructions), -1) for producer in Unit}
    for index, one in enumerate(instructions):
        if (unit := one.UNIT) is None:
            continue
        for producer in Unit:
            if one.wait >> producer & 1:
                pair = producer, unit
                result[producer][index] = before[unit] if producer == unit else given[pair][taken[pair]]
                taken[pair] += 1
        before[unit] = index
    return result


def end_cycles(track: Track, instructions: NDArray[np.int64], cycles: int) -> NDArray[np.int64]:
    """The cycle from which on the unit is at a later instruction than each of ``instructions``."""
    at = track.instructions.astype(np.int64)
    seen = np.maximum.accumulate(at)
    seen[(at < 0) & (seen >= 0)] = np.iinfo(np.int64).max     # done with its last
    after = np.searchsorted(seen, instructions, side="right")
    return np.append(track.starts, cycles)[after]
