"""What every kind of step offers to the scheduler."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from arrayloom.compiler.backend.context import Operands


@dataclass(frozen=True)
class Progress:
    """Rows [0, rows) of a block are written.

    ``cycles``: how long the last piece of it takes, about; ``post``: for how many of these the POST unit is busy;
    ``loaded``: words of weights that it takes.
    """

    block: int
    rows: int
    cycles: int
    post: int
    loaded: int = 0


class Writer(Protocol):
    """Writes the instructions of one step."""

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        """Writes rows [first, last) of some blocks of the output, pausing after each instruction that makes a piece."""

    def finish(self) -> None:
        """Nothing of the step is left to write."""
