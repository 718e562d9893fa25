"""The parts of an instruction for each part of the POST unit: records with the ISA's field widths."""

from enum import IntEnum

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import exact_log2

from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import BYTE_VALUES, SIGNIFICANT, TAPS, Drain, Pool

TERM_BITS = exact_log2(BYTE_VALUES) + SIGNIFICANT   # bits of the magnitude of one term of an average
# The running sum of an average. A rounded term is at most 2**TERM_BITS. n such terms add up to n *
# 2**TERM_BITS without rounding, since n has at most SIGNIFICANT bits; rounding is monotonic, so no sum of
# n terms is larger.
TOTAL = signed(2 * TAPS + TERM_BITS + 1)
assert 2 * TAPS <= SIGNIFICANT, "sums of the largest terms must be exact"
IN_FLIGHT = 4   # instructions inside the unit, from the prefetch of their operands to their last write


class Origin(IntEnum):
    """The origin of the values that enter the lanes."""

    ACCUMULATOR = 0
    BYTES = 1       # words of the scratchpad, or maxima of them
    SUM = 2
    AVERAGE = 3


def byte_word(config: Config) -> data.ArrayLayout:
    """A word as its signed bytes."""
    return data.ArrayLayout(signed(8), config.size)


def fields(cls: type[Instruction], *names: str) -> dict[str, object]:
    """Shapes of those fields of an instruction."""
    layout = instruction_layout(cls)
    return {name: layout[name].shape for name in names}


_REGION = fields(Drain, "height", "width")

_DRAIN = instruction_layout(Drain)

REGION = data.StructLayout(
    {"start": _DRAIN["destination"].shape, "pitch": _DRAIN["destination_pitch"].shape} | _REGION)
RESIDUAL = data.StructLayout({"region": REGION, "drains": 1})     # must not be read before the Drain's bank is full
WINDOW = data.StructLayout(
    {"origin": Origin} | _REGION
    | fields(Pool, "source", "row_pitch", "source_height", "source_width", "origin_y", "origin_x", "stride_y",
             "stride_x", "dilation_y", "dilation_x", "taps_y", "taps_x"))
WORK = data.StructLayout(
    {"origin": Origin} | _REGION | fields(Drain, "add", "lookup_table", "release_lookup_table", "release_parameters"))
ZERO_POINT = data.StructLayout(fields(Drain, "zero_point"))
CLAMP = data.StructLayout(fields(Drain, "low", "high"))
OPERANDS = data.StructLayout(fields(Drain, "swap", "a_offset", "b_offset"))
FACTORS = data.StructLayout(fields(Drain, "multiply", "product_zero"))
RATIO_B = data.StructLayout(fields(Drain, "ratio_b"))
ADD_OFFSET = data.StructLayout(fields(Drain, "add_offset"))
RATIO_A = data.StructLayout(fields(Drain, "ratio_a"))
SUM_OFFSET = data.StructLayout(fields(Drain, "sum_offset"))
SUM_CLAMP = data.StructLayout(fields(Drain, "add_low", "add_high"))
TERM = data.StructLayout(fields(Pool, "multiplier", "source_zero"))

SETTINGS = {
    "zero_point": ZERO_POINT, "clamp": CLAMP, "operands": OPERANDS, "factors": FACTORS, "ratio_b": RATIO_B,
    "add_offset": ADD_OFFSET, "ratio_a": RATIO_A, "sum_offset": SUM_OFFSET, "sum_clamp": SUM_CLAMP,
}
