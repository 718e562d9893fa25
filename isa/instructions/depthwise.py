"""Instructions of accelerators with the DEPTHWISE unit."""

from dataclasses import dataclass

from arrayloom.isa.fields import Instruction, Unit, bits
from arrayloom.isa.instructions.post import Drain
from arrayloom.isa.instructions.widths import DEPTHWISE_TAPS, EXTENT, ORIGIN, STRIDE, WORD_ADDRESS


@dataclass(frozen=True, kw_only=True)
class Depthwise(Instruction):
    """Convolves one channel block of a region, each channel with a kernel of its own, into a bank of the unit's sums.

    The kernel is ``repeats * taps_y * taps_x`` words of the scratchpad from ``weights`` on, repeat by repeat and row by row;
    byte c of each is the weight of channel c. Pixel (y, x) at tap (i, j) reads what it reads of the first channel block in a
    Convolve with the same fields. The sums of a pixel are those of all its products; they wrap at 32 bits.

    No word that is read lies outside the scratchpad. The bank must be empty and is full afterwards.
    """

    OPCODE = 11
    UNIT = Unit.DEPTHWISE
    source: int = bits(WORD_ADDRESS, "word of row 0, column 0")
    row_pitch: int = bits(EXTENT, "words between rows of the source")
    source_height: int = bits(EXTENT, "rows of the source")
    source_width: int = bits(EXTENT, "columns of the source")
    origin_y: int = bits(ORIGIN, "source row of output row 0 at tap row 0", signed=True)
    origin_x: int = bits(ORIGIN, "source column of output column 0 at tap column 0", signed=True)
    height: int = bits(EXTENT, "rows of the output region")
    width: int = bits(EXTENT, "columns of the output region; height * width at most the accumulator depth")
    stride_y: int = bits(STRIDE, "source rows between output rows", default=1)
    stride_x: int = bits(STRIDE, "source columns between output columns", default=1)
    dilation_y: int = bits(STRIDE, "source rows between taps", default=1)
    dilation_x: int = bits(STRIDE, "source columns between taps", default=1)
    taps_y: int = bits(DEPTHWISE_TAPS, "rows of the kernel", default=1)
    taps_x: int = bits(DEPTHWISE_TAPS, "columns of the kernel", default=1)
    repeats: int = bits(2, "kernels, which are added: weights beyond 8 bits come as sums", default=1)
    padding: int = bits(8, "value of every channel outside the source", signed=True)
    weights: int = bits(WORD_ADDRESS, "first word of the kernel")


@dataclass(frozen=True, kw_only=True)
class DrainDepthwise(Drain):
    """A Drain of the oldest full bank of the DEPTHWISE unit's sums, of which there are as many as accumulator banks.

    Reads nothing before its bank is full: what the Depthwise that filled it had to wait for is complete.
    """

    OPCODE = 12
    UNIT = Unit.POST
