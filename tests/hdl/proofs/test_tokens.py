"""Freedom from deadlock of programs that pass the static check, and its limits.

No move of ``TokenModel`` disables another (a lemma, for all counts), so either every order of moves completes a program or
none does. It is therefore enough to try one order, which ``arrayloom.isa.order`` does: it reports that every wait of a
program ends exactly if the model with unlimited queues completes it.
"""

import random
from collections.abc import Iterator
from itertools import product

import z3
from proving.algebra import Lemma, Wrong
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from token_model import TokenModel

from arrayloom.hdl.issue import IN_FLIGHT
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.instructions import Convolve, Elementwise, LoadWeights, Store
from arrayloom.isa.order import order_of

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CLASSES: dict[Unit, type[Instruction]] = {
    Unit.LOAD: LoadWeights, Unit.ARRAY: Convolve, Unit.POST: Elementwise, Unit.STORE: Store}
DEPTH = PRESETS["tiny"].queue_depth


class Counts:
    """Any state: counts, the masks of each queue's oldest instruction and of the oldest in flight, FETCH's next unit."""

    def __init__(self, shared: bool = False) -> None:
        self.queued, self.flight = ([z3.Int(f"{name}_{unit.name}") for unit in CORE_UNITS] for name in ("queued", "flight"))
        self.tokens = {(giver, taker): z3.Int(f"token_{giver.name}{'' if shared else '_' + taker.name}")
                       for giver in CORE_UNITS for taker in CORE_UNITS}
        self.waits, self.signals = ({(a, b): z3.Bool(f"{name}_{a.name}_{b.name}") for a in CORE_UNITS for b in CORE_UNITS}
                                    for name in ("waits", "signals"))
        self.next = z3.Int("next")
        self.room = z3.Int("room")
        self.lawful = z3.And(*(count >= 0 for count in (*self.queued, *self.flight, *self.tokens.values())))

    def enabled(self, move: tuple[str, Unit], change: list[tuple[z3.ArithRef, z3.ArithRef]]) -> z3.BoolRef:
        """Whether the move is possible, after a change of counts."""
        kind, unit = move
        if kind == "push":
            may = z3.And(self.next == int(unit), self.queued[unit] < self.room)
        elif kind == "retire":
            may = self.flight[unit] > 0
        else:
            has = [z3.Implies(self.waits[unit, giver],
                              self.flight[unit] == 0 if giver is unit else self.tokens[giver, unit] > 0)
                   for giver in CORE_UNITS]
            may = z3.And(self.queued[unit] > 0, self.flight[unit] < IN_FLIGHT, *has)
        return z3.substitute(may, *change)

    def change(self, move: tuple[str, Unit]) -> list[tuple[z3.ArithRef, z3.ArithRef]]:
        """The move's change of counts."""
        kind, unit = move
        if kind == "push":
            return [(self.queued[unit], self.queued[unit] + 1)]
        if kind == "retire":
            given = {self.tokens[unit, taker]: z3.If(self.signals[unit, taker], 1, 0)
                     for taker in CORE_UNITS if taker is not unit}
            return [(self.flight[unit], self.flight[unit] - 1), *((count, count + more) for count, more in given.items())]
        taken = {self.tokens[giver, unit]: z3.If(self.waits[unit, giver], 1, 0) for giver in CORE_UNITS if giver is not unit}
        return [(self.queued[unit], self.queued[unit] - 1), (self.flight[unit], self.flight[unit] + 1),
                *((count, count - less) for count, less in taken.items())]


MOVES = [(kind, unit) for kind in ("push", "accept", "retire") for unit in CORE_UNITS]


def _persists(shared: bool = False, whole_queue: bool = False) -> z3.BoolRef:
    """Of two possible moves, neither disables the other.

    This does not hold with ``shared``, where tokens have no fixed consumer, nor with ``whole_queue``, where FETCH waits
    until a queue is empty.
    """
    counts = Counts(shared)
    cases = []
    for one, other in product(MOVES, MOVES):
        if one == other or one[0] == other[0] == "push":        # FETCH has one next instruction
            continue
        both = z3.And(counts.lawful, counts.enabled(one, []), counts.enabled(other, []))
        if whole_queue and one[0] == "push":
            both = z3.And(both, counts.flight[one[1]] == 0)
            cases.append(z3.Implies(both, z3.substitute(counts.flight[one[1]] == 0, *counts.change(other))))
            continue
        cases.append(z3.Implies(both, counts.enabled(one, counts.change(other))))
    result: z3.BoolRef = z3.And(*cases)
    return result


def programs(count: int) -> Iterator[list[Instruction]]:
    """All programs of three instructions for two units, and many random longer ones, most of which complete."""
    two = (Unit.LOAD, Unit.ARRAY)
    kinds = [CLASSES[unit](wait=wait, signal=0 if signal else 0b11 & ~(1 << unit))
             for unit in two for wait in range(4) for signal in range(2)]
    yield from map(list, product(kinds, repeat=3))
    rng = random.Random(1)
    for _ in range(count):
        yield [_any(rng) for _ in range(rng.randrange(4, 40))]


def _any(rng: random.Random) -> Instruction:
    unit = rng.choice(list(CORE_UNITS))
    masks = [sum(1 << one for one in CORE_UNITS if rng.random() < share) for share in (0.08, 0.3)]
    return CLASSES[unit](wait=masks[0], signal=masks[1] & ~(1 << unit))


def test_the_check_of_the_order_is_the_model() -> None:
    outcomes = []
    for program in programs(2000):
        outcomes.append(TokenModel(program).completes())
        assert outcomes[-1] == (not order_of(program).unmet), program
    assert 0.1 < sum(outcomes) / len(outcomes) < 0.9


def test_a_giver_that_fetch_does_not_reach() -> None:
    """Queues are finite: if FETCH cannot reach a token's producer before its consumer is done, the program hangs."""
    def program(between: int) -> list[Instruction]:
        waits = [Convolve(wait=1 << Unit.LOAD), *[Convolve()] * between]
        return [*waits, LoadWeights(signal=1 << Unit.ARRAY)]

    assert TokenModel(program(DEPTH), DEPTH).completes()
    stuck = program(DEPTH + 1)
    assert not TokenModel(stuck, DEPTH).completes() and TokenModel(stuck).completes()
    assert not order_of(stuck).unmet        # the check assumes unlimited queues


PROOFS = [
    Lemma("moves persist", "top",
          "Of two possible moves of FETCH, queues and units, neither disables the other, for all counts and masks: "
          "either every run of a program ends or none does.", _persists, [
              Wrong("tokens have no taker", lambda: _persists(shared=True)),
              Wrong("FETCH waits for an idle unit", lambda: _persists(whole_queue=True))]),
]
