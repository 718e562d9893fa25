"""Decides which parts of an island's wake are computed together.

A part is recomputed in each cycle in which an island that it depends on was active. Parts that depend on the
same islands are merged; further parts are merged if the saved tests are worth more than the additional
recomputation.
"""

from collections.abc import Sequence

Activity = Sequence[tuple[int, float]]
"""Sets of islands (bit k for island k), each with the fraction of cycles in which exactly these are active."""

TEST_COST = 2.0
"""Costs of a guard and of combining one more part, in units of a register's comparison."""


def share_awake(mask: int, activity: Activity) -> float:
    """Fraction of cycles in which any island in ``mask`` is active."""
    return sum(share for awake, share in activity if awake & mask)


def merge_parts(costs: dict[int, float], activity: Activity) -> list[set[int]]:
    """Merges parts, given by the islands that each depends on, with the cost of computing it.

    Returns sets of keys of ``costs``. Greedy: merges the pair that saves most first.
    """
    groups = [({fan_in}, fan_in, cost) for fan_in, cost in sorted(costs.items())]
    shares = {fan_in: share_awake(fan_in, activity) for fan_in in costs}

    def share(mask: int) -> float:
        if mask not in shares:
            shares[mask] = share_awake(mask, activity)
        return shares[mask]

    while len(groups) > 1:
        saving, first, second = max(
            (TEST_COST + left[2] * share(left[1]) + right[2] * share(right[1])
             - (left[2] + right[2]) * share(left[1] | right[1]), i, j)
            for i, left in enumerate(groups) for j, right in enumerate(groups[:i]))
        if saving <= 0:
            break
        left, right = groups[first], groups.pop(second)
        groups[groups.index(left)] = (left[0] | right[0], left[1] | right[1], left[2] + right[2])
    return [keys for keys, _, _ in groups]
