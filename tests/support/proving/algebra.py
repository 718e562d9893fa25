"""Proofs about integers instead of bits: identities, and lemmas about models with unbounded counters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import z3

from .proof import ProofError


@dataclass(frozen=True)
class Wrong:
    """A statement that does not hold.

    Attributes
    ----------
    name
        The fault in it.
    statement
        The false statement, in place of the lemma's own.
    """

    name: str
    statement: Callable[[], z3.BoolRef]


class Lemma:
    """A statement that holds for all values of its variables.

    Parameters
    ----------
    name, unit, claim : str
        As in ``Proof``.
    statement : callable
        Makes the statement.
    wrong : sequence of Wrong
        Faulty versions of the statement: each must have a counterexample.
    """

    how, solver, depth, result = "whole numbers", "z3", 0, "proved"
    slow = slow_faults = False

    def __init__(self, name: str, unit: str, claim: str, statement: Callable[[], z3.BoolRef],
                 wrong: Sequence[Wrong]) -> None:
        self.name, self.unit, self.claim, self.statement, self.faults = name, unit, claim, statement, tuple(wrong)

    def check(self) -> None:
        """Raises ``ProofError`` with values that make the statement false."""
        self._require(self.statement)

    def fails_with(self, fault: Wrong) -> bool:
        try:
            self._require(fault.statement)
        except ProofError:
            return True
        return False

    def _require(self, statement: Callable[[], z3.BoolRef]) -> None:
        solver = z3.Solver()
        solver.add(z3.Not(z3.simplify(statement(), som=True)))
        answer = solver.check()
        if answer == z3.sat:
            raise ProofError(f"{self.name}: {self.claim}\nfails where {solver.model()}")
        if answer != z3.unsat:
            raise ProofError(f"{self.name}: z3 does not know")
