"""Identities of whole numbers, for what is hard to see in bits: two polynomials are equal."""

from collections.abc import Sequence
from dataclasses import dataclass

import z3

from .proof import Failed


@dataclass(frozen=True)
class Wrong:
    """An identity that does not hold.

    Attributes:
        name: what is wrong.
        right: the other side.
    """

    name: str
    right: str


class Identity:
    """``left`` and ``right`` are equal for all whole numbers that their names stand for; with a ``wrong`` right side not."""

    how, solver, depth, result = "identity of whole numbers", "z3", 0, "proved"
    slow = slow_faults = False

    def __init__(self, name: str, unit: str, claim: str, left: str, right: str, wrong: Sequence[tuple[str, str]]) -> None:
        self.name, self.unit, self.claim = name, unit, claim
        self.left, self.right = left, right
        self.faults = tuple(Wrong(*one) for one in wrong)

    def check(self) -> None:
        """Raises ``Failed`` with numbers for which the sides differ."""
        self._require(self.right)

    def fails_with(self, fault: Wrong) -> bool:
        try:
            self._require(fault.right)
        except Failed:
            return True
        return False

    def _require(self, right: str) -> None:
        names = sorted({name for side in (self.left, right) for name in _names(side)})
        numbers = {name: z3.Int(name) for name in names}
        solver = z3.Solver()
        difference = z3.simplify(_value(self.left, numbers) - _value(right, numbers), som=True)
        solver.add(difference != 0)
        answer = solver.check()
        if answer == z3.sat:
            raise Failed(f"{self.name}: {self.left} is not {right} where {solver.model()}")
        assert answer == z3.unsat, f"{self.name}: no answer"


def _names(text: str) -> list[str]:
    return [name for name in compile(text, "<identity>", "eval").co_names]


def _value(text: str, numbers: dict[str, z3.ArithRef]) -> z3.ArithRef:
    return eval(compile(text, "<identity>", "eval"), {}, numbers)
