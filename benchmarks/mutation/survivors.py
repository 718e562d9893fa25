"""Accepted faults: ``survivors.json`` explains each fault that no test detects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.mutation.plant import Mutant
from benchmarks.wildcards import matches

FILE = Path(__file__).with_name("survivors.json")


@dataclass(frozen=True)
class Explanation:
    """``names``: names of mutants of ``unit``, in which ``*`` matches any text and ``?`` any one character."""

    unit: str
    names: Sequence[str]
    text: str

    def covers(self, mutant: Mutant) -> bool:
        """Whether it explains why the mutant stays."""
        return mutant.unit == self.unit and any(matches(name, mutant.name) for name in self.names)


def explanation_of(mutant: Mutant, explanations: Sequence[Explanation] | None = None) -> Explanation | None:
    """The first explanation that covers the mutant, if there is one."""
    known = _known() if explanations is None else explanations
    return next((one for one in known if one.covers(mutant)), None)


@cache
def _known() -> tuple[Explanation, ...]:
    return tuple(Explanation(**one) for one in json.loads(FILE.read_text(encoding="utf-8")))
