"""A covering array: few rows that together contain every pair of values of two factors."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Row = dict[str, Any]
Pair = tuple[str, Any, str, Any]

CANDIDATES = 200


def pairs_of(row: Mapping[str, Any]) -> Iterator[Pair]:
    """Each pair of factors with their values, in the order of the factors."""
    for first, second in combinations(row, 2):
        yield first, row[first], second, row[second]


def all_pairs(factors: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Rows with one value per factor that together contain every pair of values of two factors.

    Greedy: of several random rows, each built from the values that cover most missing pairs, the row that covers most is
    taken. The same factors give the same rows.
    """
    generator = random.Random(len(factors))
    missing = {(first, a, second, b): None for first, second in combinations(factors, 2)
               for a, b in product(factors[first], factors[second])}
    rows = []
    while missing:
        drawn = [_draw(factors, missing, generator) for _ in range(CANDIDATES)]
        rows.append(max(drawn, key=lambda row: sum(pair in missing for pair in pairs_of(row))))
        for pair in pairs_of(rows[-1]):
            missing.pop(pair, None)
    return rows


def _draw(factors: Mapping[str, Sequence[Any]], missing: Mapping[Pair, None], generator: random.Random) -> Row:
    """A row with at least one missing pair; the other factors are chosen in random order."""
    first, a, second, b = generator.choice(list(missing))
    row = {first: a, second: b}
    for name in generator.sample(list(factors), len(factors)):
        if name not in row:
            values = generator.sample(list(factors[name]), len(factors[name]))
            met = [sum(pair in missing for pair in _with(factors, row, name, value)) for value in values]
            row[name] = values[met.index(max(met))]
    return {name: row[name] for name in factors}


def _with(factors: Mapping[str, Sequence[Any]], row: Row, name: str, value: Any) -> Iterator[Pair]:
    """The pairs of ``name`` = ``value`` with the values already in the row."""
    order = list(factors)
    for other, chosen in row.items():
        if order.index(name) < order.index(other):
            yield name, value, other, chosen
        else:
            yield other, chosen, name, value
