"""The stage of a group of channels by cycles after its issue; each number is the sum of the preceding steps.

The registers after s steps contain a group's values while its token is at stage s.
"""

from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.hdl.post.parameters import ParameterHalf
from arrayloom.hdl.post.requantize import Requantize
from arrayloom.hdl.post.residual import ResidualAdd
from arrayloom.hdl.post.tables import LookupTables

CAPTURE = 1     # cycles to register a pixel's sums
SELECT = 1      # to choose the group and the origin
CLAMP = 1       # to add the zero point and clamp

ISSUED = 0
DATA = ISSUED + MEMORY_LATENCY
CAPTURED = DATA + CAPTURE
OPERAND = CAPTURED + SELECT
REQUANTIZED = OPERAND + Requantize.LATENCY
BYTE = REQUANTIZED + CLAMP
SUMMED = BYTE + ResidualAdd.LATENCY
RESULT = SUMMED + LookupTables.LATENCY

BIAS_READ = OPERAND - ParameterHalf.LATENCY
SCALE_READ = OPERAND + Requantize.SCALE_AT - ParameterHalf.LATENCY


def words_between(first: int, last: int, groups: int) -> int:
    """Most words that are completely or partly between two stages."""
    return -(-(last - first) // groups) + 1
