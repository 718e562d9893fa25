"""Boolean functions as a graph of ANDs, and a solver that finds inputs that make one of them true.

A literal is an integer; flipping its lowest bit negates it. Functions of the same structure share one literal.
"""

from collections.abc import Iterable, Sequence

from pysat.solvers import Solver

FALSE, TRUE = 0, 1


class Graph:
    """Makes literals; asserted clauses hold for every question."""

    def __init__(self) -> None:
        self._gates: dict[tuple[int, int], int] = {}
        self._nodes = 1
        self._solver = Solver(name="cadical195")
        self._solver.add_clause([_signed(TRUE)])

    def variable(self) -> int:
        self._nodes += 1
        return 2 * (self._nodes - 1)

    def variables(self, count: int) -> list[int]:
        return [self.variable() for _ in range(count)]

    def conjunction(self, a: int, b: int) -> int:
        a, b = min(a, b), max(a, b)
        if a == FALSE or a ^ 1 == b:
            return FALSE
        if a in (TRUE, b):
            return b
        if (a, b) not in self._gates:
            gate = self._gates[a, b] = self.variable()
            for clause in ([gate ^ 1, a], [gate ^ 1, b], [gate, a ^ 1, b ^ 1]):
                self.assert_clause(clause)
        return self._gates[a, b]

    def disjunction(self, a: int, b: int) -> int:
        return self.conjunction(a ^ 1, b ^ 1) ^ 1

    def choice(self, condition: int, then: int, otherwise: int) -> int:
        if then == otherwise:
            return then
        return self.disjunction(self.conjunction(condition, then), self.conjunction(condition ^ 1, otherwise))

    def difference(self, a: int, b: int) -> int:
        if a ^ 1 == b:
            return TRUE
        return FALSE if a == b else self.choice(a, b ^ 1, b)

    def every(self, literals: Iterable[int]) -> int:
        result = TRUE
        for literal in literals:
            result = self.conjunction(result, literal)
        return result

    def some(self, literals: Iterable[int]) -> int:
        return self.every(literal ^ 1 for literal in literals) ^ 1

    def equal(self, a: Sequence[int], b: Sequence[int]) -> int:
        return self.every(self.difference(x, y) ^ 1 for x, y in zip(a, b, strict=True))

    def number(self, value: int, width: int) -> list[int]:
        return [TRUE if value >> bit & 1 else FALSE for bit in range(width)]

    def sum(self, a: Sequence[int], b: Sequence[int], carry: int = FALSE) -> list[int]:
        """The sum, as wide as both operands."""
        result = []
        for x, y in zip(a, b, strict=True):
            half = self.difference(x, y)
            result.append(self.difference(half, carry))
            carry = self.choice(half, carry, x)
        return result

    def less(self, a: Sequence[int], b: Sequence[int]) -> int:
        """Whether unsigned ``a`` is less than unsigned ``b``."""
        result = FALSE
        for x, y in zip(a, b, strict=True):
            result = self.choice(self.difference(x, y), y, result)
        return result

    def assert_clause(self, literals: Iterable[int]) -> None:
        self._solver.add_clause([_signed(literal) for literal in literals])

    def satisfiable(self, *literals: int) -> bool:
        """Whether some input makes all literals true."""
        if FALSE in literals:
            return False
        return bool(self._solver.solve([_signed(literal) for literal in literals]))

    def gates(self) -> Iterable[tuple[int, int, int]]:
        """Each AND as its result and operands, after those of its operands."""
        return ((gate, a, b) for (a, b), gate in self._gates.items())

    @property
    def nodes(self) -> int:
        """Number of nodes: literals are less than twice it."""
        return self._nodes

    def value(self, literal: int) -> int:
        """The literal's value in the last input found."""
        model, node = self._solver.get_model(), literal // 2
        return literal & 1 ^ int(node < len(model) and model[node] > 0)


def _signed(literal: int) -> int:
    """The literal in the solver's form: from 1, negative for a negation; node 0 is false."""
    return -(literal // 2 + 1) if literal & 1 else literal // 2 + 1
