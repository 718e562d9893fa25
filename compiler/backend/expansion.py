"""Computes an arbitrary function of two bytes with lookup tables and a convolution.

The values of one operand, the selector, are divided into groups within which the function of the other operand is the same.
Each group gets a channel: the other operand goes through the group's table, and the channel is set to -128 unless the
selector is in the group. A convolution adds the channels, of which at most one is not -128. The operand with fewer groups is
the selector.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.epilogue import LOW, AddConstants, LookupTable
from arrayloom.isa.instructions import ADD_FRACTION

PairTable = NDArray[np.int64]   # [256, 256]: the signed result for signed bytes a - 128 and b - 128

MOST_CHANNELS = 128     # limit of the channels of an expanded operand, unless the operand itself has more
SUPPRESS = AddConstants(2 << ADD_FRACTION, 1 << ADD_FRACTION, 0, 0, 0, 0)   # 2 * mask + byte: 2 * -128 + 127 is clamped
JOIN = AddConstants(1 << ADD_FRACTION, 1 << ADD_FRACTION, 128 << ADD_FRACTION, 0, 0, 0)     # one of the two is -128


@dataclass(frozen=True, eq=False)
class Expansion:
    """The groups of the selector's values and their functions.

    Attributes
    ----------
    swapped
        Whether operand b is the selector.
    masks
        int8[groups, 256], indexed by the selector: 0 for values of the group, else -128.
    functions
        int8[groups, 256], indexed by the other operand.
    """

    swapped: bool
    masks: LookupTable
    functions: LookupTable

    @property
    def groups(self) -> int:
        return len(self.masks)

    def part(self, first: int, last: int) -> "Expansion":
        """Returns the expansion with groups [first, last) only; it gives -128 for selectors in other groups."""
        return Expansion(self.swapped, self.masks[first:last], self.functions[first:last])


def expand(table: PairTable) -> Expansion:
    """Returns the expansion of a function of two bytes with the fewest groups, at least one."""
    return min(_expansion(table, swapped=False), _expansion(table.T, swapped=True), key=lambda found: found.groups)


def _expansion(table: PairTable, swapped: bool) -> Expansion:
    """Groups the indices of equal rows in ``table``; rows of -128 need no group, as that is the sum without any channel."""
    rows, group = np.unique(table, axis=0, return_inverse=True)
    masks = np.where(group.reshape(-1) == np.arange(len(rows))[:, np.newaxis], 0, LOW).astype(np.int8)
    used = (rows != LOW).any(axis=1)
    used[0] |= not used.any()
    return Expansion(swapped, masks[used], rows[used].astype(np.int8))
