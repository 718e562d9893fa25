"""Which parts of an island's wake are computed together.

A part is computed again in each cycle in which an island that it depends on was awake. Parts that depend on the same islands
belong together; further parts are put together where the tests that this saves are worth more than what is then computed
more often.
"""

from collections.abc import Sequence

Activity = Sequence[tuple[int, float]]
"""Sets of islands, bit k for island k, each with the share of cycles in which exactly they are awake."""

TEST_COST = 2.0
"""Of a guard and of one more part to combine, in units of a register's comparison."""


def share_awake(mask: int, activity: Activity) -> float:
    """Share of cycles in which one of the islands in ``mask`` is awake."""
    return sum(share for awake, share in activity if awake & mask)


def merge_parts(costs: dict[int, float], activity: Activity) -> list[set[int]]:
    """Puts together parts, given by the islands that each depends on with what it costs to compute.

    Returns sets of keys of ``costs``. Greedy: the pair that saves most first.
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
