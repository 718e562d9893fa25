"""From what the registers of a design were seen to do to the division into islands."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arrayloom.sim.rtl.islands.partition import MOST_ISLANDS
from arrayloom.sim.rtl.islands.state import State
from arrayloom.sim.rtl.netlist import Netlist
from benchmarks.islands.activity import Activity
from benchmarks.islands.clustering import Clustering, similar_groups
from benchmarks.islands.cost_model import width, work

WITHOUT_ENABLE = {"$dff", "$sdff"}
WIDE = 256
"""Bits from which on comparing a register costs more than it saves, whatever the register does."""
WORTH_COMPARING = 0.5
"""Of the cycles in which a register is enabled, the share in which it changes that is low enough to compare it."""
RARELY_ENABLED = 0.02
"""Share of cycles below which a register is asleep for the most time even by its enable."""
ALWAYS = 0.9
"""Share of cycles from which on an island is awake always, and nothing is computed for it."""
MOST_SETS = 300
"""Sets of islands that the table keeps: those of nine samples in ten on ResNet-18."""


@dataclass(frozen=True)
class Trained:
    """A division into islands, with what was seen of it.

    Attributes
    ----------
    islands
        Keys of the registers of each island, that which is awake most first.
    shares
        Share of samples in which each island is awake, in that order.
    by_enable
        Keys of registers that count as changing whenever they are enabled.
    awake
        Sets of islands, by their place, that were awake together, and in how many samples; the most frequent first.
    cost
        Of an average cycle, in units of the cost model.
    guards
        Sets of islands on which something depends.
    """

    islands: dict[str, list[str]]
    shares: list[float]
    by_enable: list[str]
    awake: list[tuple[tuple[int, ...], int]]
    cost: float
    guards: int

    def always(self, place: int) -> bool:
        """Whether the island at that place counts as awake in every cycle."""
        return self.shares[place] > ALWAYS


def train(netlist: Netlist, states: Sequence[State], activity: Activity) -> Trained:
    """The islands of ``states``, which are all states of ``netlist``, from their ``activity``."""
    by_enable = registers_by_enable(states, activity)
    seen = [enabled if key in by_enable else changed
            for key, enabled, changed in zip(activity.keys, activity.enabled, activity.changed, strict=True)]
    units = [top_unit(key) for key in activity.keys]
    groups = similar_groups(units, seen)
    group_of = {activity.keys[index]: number for number, members in enumerate(groups) for index in members}
    costs = work(netlist, states, [group_of[state.key] for state in states], by_enable)
    clustering = Clustering([_any(seen[index] for index in members) for members in groups], costs, activity.samples)
    clustering.shrink(MOST_ISLANDS)
    found = sorted(clustering.islands, key=lambda island: (-clustering.seen(island).bit_count(), island))
    members = {island: [index for group in clustering.islands[island] for index in groups[group]] for island in found}
    islands = {name: sorted(activity.keys[index] for index in members[island])
               for island, name in zip(found, _names([[units[index] for index in members[island]] for island in found]),
                                       strict=True)}
    awake = [clustering.seen(island) for island in found]
    shares = [activity.share(samples) for samples in awake]
    return Trained(islands, shares, sorted(by_enable), _together(awake, shares, activity.samples), clustering.cost(),
                   clustering.guards)


def registers_by_enable(states: Sequence[State], activity: Activity) -> set[str]:
    """Keys of registers for which a comparison is not worth its cost.

    A register without an enable is always compared: else it would change in every cycle.
    """
    compared = {state.key for state in states if state.cell.kind in WITHOUT_ENABLE}
    wide = {state.key for state in states if width(state.cell) >= WIDE}
    result = set()
    for key, enabled, changed in zip(activity.keys, activity.enabled, activity.changed, strict=True):
        often, rarely = activity.share(enabled), activity.share(changed)
        if key not in compared and (key in wide or rarely >= WORTH_COMPARING * often or often < RARELY_ENABLED):
            result.add(key)
    return result


def top_unit(key: str) -> str:
    """The part of the accelerator that the register of that key is in."""
    return key.partition("/")[0].partition(".")[0]


def _names(units: list[list[str]]) -> list[str]:
    """A name for each island: the unit that most of its registers are in, and a number."""
    result: list[str] = []
    count = Counter[str]()
    for members in units:
        unit = Counter(members).most_common(1)[0][0]
        result.append(f"{unit}.{count[unit]}")
        count[unit] += 1
    return result


def _together(awake: list[int], shares: list[float], samples: int) -> list[tuple[tuple[int, ...], int]]:
    sets = Counter(tuple(place for place, seen in enumerate(awake) if seen >> sample & 1 or shares[place] > ALWAYS)
                   for sample in range(samples))
    return sets.most_common(MOST_SETS)


def _any(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result
