"""Any function of two bytes: one channel for each group of values of one operand, in which the other goes through the
function of that group; all but one of them are suppressed, and a convolution adds them up.

The operand whose values fall into fewer groups is told apart. What it selects becomes an exact sum of bytes: a suppressed
channel is -128, the chosen one the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.epilogue import LOW, AddConstants, LookupTable
from arrayloom.isa.instructions import ADD_FRACTION

PairTable = NDArray[np.int64]   # [256, 256]: the signed result for signed bytes a - 128 and b - 128

MOST_CHANNELS = 128     # of an expanded operand, unless the operand itself has more
SUPPRESS = AddConstants(2 << ADD_FRACTION, 1 << ADD_FRACTION, 0, 0, 0, 0)   # 2 * mask + byte: 2 * -128 + 127 is clamped
JOIN = AddConstants(1 << ADD_FRACTION, 1 << ADD_FRACTION, 128 << ADD_FRACTION, 0, 0, 0)     # one of the two is -128


@dataclass(frozen=True, eq=False)
class Expansion:
    """How to tell one operand's values apart.

    Attributes
    ----------
    swapped
        Whether that operand is b.
    masks
        int8[groups, 256] of it: 0 for the values of the group, else -128.
    functions
        int8[groups, 256] of the other operand.
    """

    swapped: bool
    masks: LookupTable
    functions: LookupTable

    @property
    def groups(self) -> int:
        return len(self.masks)

    def part(self, first: int, last: int) -> "Expansion":
        """Some of the groups: -128 where the operand is in none of them."""
        return Expansion(self.swapped, self.masks[first:last], self.functions[first:last])


def expand(table: PairTable) -> Expansion:
    """The expansion of a function of two bytes with the fewest groups; at least one."""
    return min(_expansion(table, swapped=False), _expansion(table.T, swapped=True), key=lambda found: found.groups)


def _expansion(table: PairTable, swapped: bool) -> Expansion:
    """Values with the same row form a group; those with -128 throughout need none, since nothing adds up to that."""
    rows, group = np.unique(table, axis=0, return_inverse=True)
    masks = np.where(group.reshape(-1) == np.arange(len(rows))[:, np.newaxis], 0, LOW).astype(np.int8)
    used = (rows != LOW).any(axis=1)
    used[0] |= not used.any()
    return Expansion(swapped, masks[used], rows[used].astype(np.int8))
