"""Tokens, queues and units as counters: the possible next moves, independent of cycles.

Moves: FETCH puts its next instruction into its unit's queue; a unit accepts the oldest instruction in its queue; a unit
retires the oldest instruction it has accepted. ``tests/hdl/proofs/test_issue.py`` proves that ``hdl/issue.py`` does that.
"""

from collections import deque
from collections.abc import Sequence

from arrayloom.hdl.issue import IN_FLIGHT
from arrayloom.isa.fields import Instruction, Unit, units_in

HEAD = 1        # instructions of a queue that have left its FIFO and wait for their tokens
ENDLESS = 1 << 30


class TokenModel:
    """A program in execution.

    Parameters
    ----------
    program : sequence of Instruction
    depth : int
        Depth of the FIFO in each queue; ``ENDLESS`` is that of ``arrayloom.isa.order``.
    """

    def __init__(self, program: Sequence[Instruction], depth: int = ENDLESS) -> None:
        self.left = deque(one for one in program if one.UNIT is not None)
        self.depth = depth
        self.queues: dict[Unit, deque[Instruction]] = {unit: deque() for unit in Unit}
        self.flight: dict[Unit, deque[Instruction]] = {unit: deque() for unit in Unit}
        self.tokens = {(giver, taker): 0 for giver in Unit for taker in Unit}

    def completes(self) -> bool:
        """Whether the program ends. Any order of moves will do: no move disables another (the lemma)."""
        while self._push() | self._accept() | self._retire():
            pass
        return not self.left and not any(self.queues.values()) and not any(self.flight.values())

    def _push(self) -> bool:
        if not self.left or len(self.queues[self._unit(self.left[0])]) >= self.depth + HEAD:
            return False
        self.queues[self._unit(self.left[0])].append(self.left.popleft())
        return True

    def _accept(self) -> bool:
        moved = False
        for unit, queue in self.queues.items():
            if queue and len(self.flight[unit]) < IN_FLIGHT and self._satisfied(unit, queue[0]):
                for giver in units_in(queue[0].wait):
                    self.tokens[giver, unit] -= giver is not unit
                self.flight[unit].append(queue.popleft())
                moved = True
        return moved

    def _satisfied(self, unit: Unit, one: Instruction) -> bool:
        return all(not self.flight[unit] if giver is unit else self.tokens[giver, unit] for giver in units_in(one.wait))

    def _retire(self) -> bool:
        moved = False
        for unit, flight in self.flight.items():
            if flight:
                for taker in units_in(flight.popleft().signal):
                    self.tokens[unit, taker] += 1
                moved = True
        return moved

    @staticmethod
    def _unit(one: Instruction) -> Unit:
        assert one.UNIT is not None
        return one.UNIT
