"""The results for the mutants, in total and by unit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.mutation.hunt import Noticed
from benchmarks.mutation.places import UNITS
from benchmarks.mutation.plant import Mutant
from benchmarks.mutation.survivors import explanation_of

WANTED = 0.95
KINDS = ("mutants", "caught", "equivalent", "survived")


@dataclass
class Outcome:
    """Mutants by number: detected ones with the stimulus, and those proved to be equivalent."""

    mutants: Sequence[Mutant]
    noticed: dict[int, Noticed] = field(default_factory=dict)
    equivalent: set[int] = field(default_factory=set)

    def left(self) -> list[Mutant]:
        """Mutants that are neither detected nor equivalent."""
        return [one for one in self.mutants if one.number not in self.noticed and one.number not in self.equivalent]

    def figures(self, seconds: float) -> dict[str, Any]:
        """The result as JSON."""
        survivors = [{"unit": one.unit, "name": one.name, "what": one.command, "explanation": _text(one)}
                     for one in self.left()]
        by_unit = {unit: counts for unit in UNITS if (counts := self._counts(unit))["mutants"]}
        every = self._counts(None)
        caught_by: dict[str, int] = {}
        for found in self.noticed.values():
            kind = found.stimulus.split(",")[0].rstrip(" 0123456789to")
            caught_by[kind] = caught_by.get(kind, 0) + 1
        return every | {"score": score(every), "by_unit": by_unit, "caught_by": caught_by, "survivors": survivors,
                        "seconds": round(seconds, 1)}

    def _counts(self, unit: str | None) -> dict[str, int]:
        chosen = [one for one in self.mutants if unit in (None, one.unit)]
        caught = sum(one.number in self.noticed for one in chosen)
        equivalent = sum(one.number in self.equivalent for one in chosen)
        return dict(zip(KINDS, (len(chosen), caught, equivalent, len(chosen) - caught - equivalent), strict=True))


def score(counts: Mapping[str, int]) -> float:
    """The fraction of the non-equivalent mutants that are detected."""
    real = counts["mutants"] - counts["equivalent"]
    return counts["caught"] / real if real else 1.0


def _text(mutant: Mutant) -> str | None:
    explanation = explanation_of(mutant)
    return explanation.text if explanation else None


def failures(figures: Mapping[str, Any]) -> Iterator[str]:
    """Reasons why the result is not sufficient, one line each."""
    if figures["score"] < WANTED:
        yield f"{100 * figures['score']:.1f} % of the faults are noticed: {100 * WANTED:.0f} % must be"
    for one in figures["survivors"]:
        if one["explanation"] is None:
            yield (f"{one['unit']}: {one['name']}: no test notices it, and benchmarks/mutation/survivors.json does not say "
                   "why: write a test that does, or explain it there")


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """The result as a Markdown table."""
    yield "| unit | mutants | caught | equivalent | survived | score |"
    yield "|---|---|---|---|---|---|"
    for unit, counts in [*figures["by_unit"].items(), ("all", figures)]:
        yield f"| {unit} | " + " | ".join(f"{counts[kind]:,}" for kind in KINDS) + f" | {100 * score(counts):.1f} % |"
