"""The order in which instructions fill the weight FIFO.

Words enter the weight FIFO in the order of the program. An instruction of LOAD that fills it must therefore begin after
the earlier ones of ATTENTION are complete, and the other way round: tokens ensure this. A program whose tokens do not is
illegal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import FeedWeights, LoadWeights
from arrayloom.isa.order import Order

FILLS: tuple[type[Instruction], ...] = (LoadWeights, FeedWeights)
"""Instructions that fill the weight FIFO, each of a unit of its own."""


@dataclass(frozen=True)
class Unordered:
    """Two instructions that fill the weight FIFO: no token makes ``later`` wait until ``earlier`` is complete.

    Attributes
    ----------
    later, earlier
        Indices of the instructions.
    """

    later: int
    earlier: int


def unordered_fills(instructions: Sequence[Instruction], order: Order) -> Iterator[Unordered]:
    """Yields each instruction that fills the FIFO too early, with the one of the other unit that it should wait for."""
    last: dict[Unit, int] = {}
    for index, one in enumerate(instructions):
        if not isinstance(one, FILLS) or one.UNIT is None:
            continue
        for unit, earlier in last.items():
            if unit is not one.UNIT and order.clocks[index, unit] < earlier:
                yield Unordered(index, earlier)
        last[one.UNIT] = index
