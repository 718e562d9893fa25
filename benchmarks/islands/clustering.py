"""Merges groups of registers into islands, greedily, to minimize the cost of an average cycle.

An active island computes everything that depends on it. Two groups in one island activate each other, which costs cycles;
guards for the same set of islands are merged, which saves cycles.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from arrayloom.sim.rtl.islands.fan_in import Islands

GUARD = 0.5
"""Cost of one guard per cycle, in units of the cost model."""
SIMILAR = 0.93
"""Fraction of their activity that two groups of a unit must share to be merged from the start."""


def similar_groups(units: Sequence[str], seen: Sequence[int]) -> list[list[int]]:
    """Groups of the indices of ``units``: those of one unit that are awake in nearly the same samples, ``seen``."""
    same: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(zip(units, seen, strict=True)):
        same.setdefault(key, []).append(index)
    result: list[tuple[str, int, list[int]]] = []
    for (unit, awake), members in sorted(same.items(), key=lambda item: -item[0][1].bit_count()):
        for place, (other, theirs, group) in enumerate(result):
            if other == unit and (awake & theirs).bit_count() > SIMILAR * (awake | theirs).bit_count():
                result[place] = (unit, awake | theirs, group + members)
                break
        else:
            result.append((unit, awake, members))
    return [members for _, _, members in result]


class Clustering:
    """Groups, each at first in a separate island.

    Parameters
    ----------
    seen : list of int
        Samples in which each group is awake, bit n for sample n.
    work : dict
        Cost of what is computed whenever one of a set of groups is awake, by the set (bit k for group k).
    samples : int
        How many there are.

    Attributes
    ----------
    islands : dict of int to list of int
        Groups of each island.
    """

    def __init__(self, seen: Sequence[int], work: dict[Islands, float], samples: int) -> None:
        self.islands = {group: [group] for group in range(len(seen))}
        self._seen, self._work, self._samples = list(seen), dict(work), samples
        self._awake = {mask: self._any(mask) for mask in work}
        self._with: list[dict[Islands, None]] = [{} for _ in seen]      # sets that hold each island, in order
        for mask in work:
            self._index(mask)

    def cost(self) -> float:
        """Cost of an average cycle, without guards."""
        return sum(cost * self._awake[mask].bit_count() for mask, cost in self._work.items()) / self._samples

    @property
    def guards(self) -> int:
        """Sets of islands on which something depends."""
        return len(self._work)

    def seen(self, island: int) -> int:
        """Samples in which the island is awake."""
        return self._seen[island]

    def shrink(self, most: int) -> None:
        """Merges islands as long as that saves cost, and until there are at most ``most``; the best pair first.

        Scores are kept in a heap, and computed again when a pair comes up, since other merges change them.
        """
        heap = [(self.score(first, second), first, second, 0, 0) for first, second in combinations(self.islands, 2)]
        heapq.heapify(heap)
        version = Counter[int]()
        while heap:
            _, first, second, *versions = heapq.heappop(heap)
            if not {first, second} <= self.islands.keys() or versions != [version[first], version[second]]:
                continue
            score = self.score(first, second)
            if heap and score > heap[0][0] + 1e-9:
                heapq.heappush(heap, (score, first, second, *versions))
                continue
            if score > 0 and len(self.islands) <= most:
                break
            self.merge(first, second)
            version[first] += 1
            for other in self.islands:
                if other != first:
                    left, right = sorted((first, other))
                    heapq.heappush(heap, (self.score(left, right), left, right, version[left], version[right]))

    def score(self, first: int, second: int) -> float:
        """What merging the two adds to the cost of a cycle, guards included."""
        both = 1 << first | 1 << second
        added, joined = 0.0, set()
        touched = self._with[first] | self._with[second]
        for mask in touched:
            joined.add(mask | both)
            if mask & both != both:
                awake = self._awake[mask]
                more = awake | self._seen[second if mask >> first & 1 else first]
                added += self._work[mask] * (more.bit_count() - awake.bit_count())
        return added / self._samples - GUARD * (len(touched) - len(joined))

    def merge(self, first: int, second: int) -> None:
        """Puts the groups of ``second`` into ``first``."""
        one, two = 1 << first, 1 << second
        self._seen[first] |= self._seen[second]
        self.islands[first] += self.islands.pop(second)
        for mask in self._with[first] | self._with[second]:
            cost, awake = self._work.pop(mask), self._awake.pop(mask)
            for island in _members(mask):
                del self._with[island][mask]
            new = (mask | one) & ~two
            self._work[new] = self._work.get(new, 0.0) + cost
            self._awake[new] = self._awake.get(new, 0) | awake | self._seen[first]
            self._index(new)

    def _index(self, mask: Islands) -> None:
        for island in _members(mask):
            self._with[island][mask] = None

    def _any(self, mask: Islands) -> int:
        awake = 0
        for island in _members(mask):
            awake |= self._seen[island]
        return awake


def _members(mask: Islands) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
