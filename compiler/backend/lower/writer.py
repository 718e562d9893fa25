"""What every kind of step offers to the scheduler."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from compiler.backend.site import Operands


@dataclass(frozen=True)
class Progress:
    """Rows [0, rows) of a block are written; ``slack``: cycles that the POST unit has to spare for it, less than 0
    where it needs them."""

    block: int
    rows: int
    slack: int


class Writer(Protocol):
    """Writes the instructions of one step."""

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        """Writes rows [first, last) of some blocks of the output, pausing after each instruction that makes a piece."""

    def finish(self) -> None:
        """Nothing of the step is left to write."""
