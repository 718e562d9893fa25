"""Values that narrow registers with a reset can have: a superset of those that occur, which a solver has confirmed.

Each register begins with its value after reset. From states in which every register has one of its values, and with any
inputs and any words in memories, the values in the next cycle are added, until there are no others. Random states find most
of them, the solver the rest.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.rtl.logic import parameter_bits
from arrayloom.sim.rtl.netlist import Bit
from benchmarks.mutation.machine import Machine

from bit_logic import FALSE  # isort: skip
from netlist_logic import NetlistLogic  # isort: skip

NARROW = 4      # bits of a register whose values are taken together
SINGLE = 10     # bits of one whose bits are taken one by one; wider ones hold data
RESETS = {"$sdff", "$sdffe", "$sdffce"}
WORDS = 32      # of 64 random states each

Group = tuple[tuple[Bit, ...], int]     # bits of a register, and their value after reset
Words = NDArray[np.uint64]


class Reached:
    """The values of the registers of ``machine`` in the cycle ``frame``; bits in ``zero`` are 0 in it."""

    def __init__(self, machine: Machine, frame: NetlistLogic, zero: list[int]) -> None:
        self._graph, self._zero = machine.graph, zero
        self.groups = list(_groups(machine))
        self.values = [{reset} for _, reset in self.groups]
        self._now = [frame.literals(bits) for bits, _ in self.groups]
        self._next = [[frame.next(bit) for bit in bits] for bits, _ in self.groups]
        # each value of each register: whether it is excluded now, and whether it comes next
        self._excluded = {(place, value): self._exclusion(place, value) for place, value in self._all()}
        self._comes = {(place, value): self._coming(place, value) for place, value in self._all()}
        rng = np.random.default_rng(1)
        self._draw(rng, 3)
        while self._ask():
            self._draw(rng, 1)
        for key in self._unknown():
            self._graph.assert_clause([self._excluded[key]])

    def _all(self) -> Iterator[tuple[int, int]]:
        for place, (bits, _) in enumerate(self.groups):
            yield from ((place, value) for value in range(1 << len(bits)))

    def _unknown(self) -> list[tuple[int, int]]:
        return [(place, value) for place, value in self._all() if value not in self.values[place]]

    def _exclusion(self, place: int, value: int) -> int:
        """A literal that excludes the value."""
        literal, bits = self._graph.variable(), self._now[place]
        self._graph.assert_clause([literal ^ 1, *(bit ^ (value >> index & 1) for index, bit in enumerate(bits))])
        return literal

    def _coming(self, place: int, value: int) -> int:
        return self._graph.equal(self._next[place], self._graph.number(value, len(self._next[place])))

    def _ask(self) -> bool:
        """Lets the solver find a state from which another value comes; whether there is one."""
        graph, unknown = self._graph, self._unknown()
        asked = graph.variable()
        graph.assert_clause([asked ^ 1, *(self._comes[key] for key in unknown)])
        if not graph.satisfiable(asked, *(self._excluded[key] for key in unknown)):
            return False
        for place, value in unknown:
            literal = self._comes[place, value]
            if literal != FALSE and graph.value(literal):
                self.values[place].add(value)
        return True

    def _draw(self, rng: np.random.Generator, most: int) -> None:
        """Adds what follows from random states, until ``most`` draws have added nothing."""
        gates, idle = list(self._graph.gates()), 0
        while idle < most:
            states = self._states(rng)
            for gate, a, b in gates:
                states[gate >> 1] = _of(states, a) & _of(states, b)
            fresh = [set(np.unique(_numbers(states, bits)).tolist()) - known
                     for bits, known in zip(self._next, self.values, strict=True)]
            for known, values in zip(self.values, fresh, strict=True):
                known |= values
            idle = 0 if any(fresh) else idle + 1

    def _states(self, rng: np.random.Generator) -> Words:
        """Random values of all nodes, with registers that have one of their values."""
        states: Words = rng.integers(0, 1 << 64, (self._graph.nodes, WORDS), np.uint64)
        states[0] = 0
        for literal in self._zero:
            states[literal >> 1] = 0 if not literal & 1 else ~np.uint64(0)
        for bits, values in zip(self._now, self.values, strict=True):
            chosen = rng.choice(sorted(values), WORDS * 64)
            for index, literal in enumerate(bits):
                states[literal >> 1] = np.packbits((chosen >> index & 1).astype(np.uint8)).view(np.uint64)
        return states


def _groups(machine: Machine) -> Iterator[Group]:
    for cell in machine.netlist.cells:
        if cell.kind not in RESETS:
            continue
        bits, reset = cell.ports["Q"], parameter_bits(cell, "\\SRST_VALUE")[:len(cell.ports["Q"])]
        if "x" in reset:
            continue
        if len(bits) <= NARROW:
            yield tuple(bits), int(reset[::-1], 2)
        elif len(bits) <= SINGLE:
            yield from (((bit,), int(value)) for bit, value in zip(bits, reset, strict=True))


def _of(states: Words, literal: int) -> Any:
    return ~states[literal >> 1] if literal & 1 else states[literal >> 1]


def _numbers(states: Words, bits: list[int]) -> NDArray[np.int64]:
    """The numbers that the bits form in all states."""
    result = np.zeros(64 * WORDS, np.int64)
    for index, literal in enumerate(bits):
        result |= np.unpackbits(_of(states, literal).view(np.uint8)).astype(np.int64) << index
    return result
