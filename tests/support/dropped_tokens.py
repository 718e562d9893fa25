"""Programs without some of their tokens: neither signal nor wait remains."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from arrayloom.isa.fields import Unit, encode_all, units_in
from arrayloom.isa.program import Program
from arrayloom.isa.tokens import NO_GIVER, token_givers

Wait = tuple[int, Unit]     # the index of an instruction, and a unit that it waits for


def waits_of(program: Program) -> Iterator[Wait]:
    """All waits, including those for a unit's own earlier instructions."""
    for index, one in enumerate(program):
        for producer in units_in(one.wait) if one.UNIT is not None else ():
            yield index, producer


def without(program: Program, waits: Iterable[Wait]) -> Program:
    """The program without these waits and their signals; all other tokens connect the same instructions as before."""
    instructions = list(program)
    givers = token_givers(instructions)
    for index, producer in waits:
        taker = instructions[index]
        instructions[index] = taker.changed(wait=taker.wait & ~(1 << producer))
        if producer is not taker.UNIT:
            assert taker.UNIT is not None and givers[producer][index] != NO_GIVER
            giver = int(givers[producer][index])
            instructions[giver] = instructions[giver].changed(signal=instructions[giver].signal & ~(1 << taker.UNIT))
    return replace(program, instructions=encode_all(instructions))
