"""Instructions of the systolic array."""

from dataclasses import dataclass

from arrayloom.isa.fields import Instruction, Unit, bits
from arrayloom.isa.instructions.widths import EXTENT, ORIGIN, STRIDE, TAPS, WORD_ADDRESS


@dataclass(frozen=True, kw_only=True)
class Convolve(Instruction):
    """Multiplies a region by ``blocks * taps_y * taps_x * repeats`` weight tiles and accumulates.

    For each channel block, then tap row, then tap column, then repeat, one tile is taken from the weight FIFO and every
    pixel of the region, in raster order, goes through it. Pixel (y, x) at tap (i, j) of block b reads the word
    ``source + b * plane_pitch + iy * row_pitch + ix`` with ``iy = origin_y + y * stride_y + i * dilation_y`` and
    ``ix`` likewise, or ``padding`` in every channel when iy is not in [0, source_height) or ix not in [0, source_width).
    No word that is read lies outside the scratchpad. An instruction without ``first`` has as many pixels as the one before.
    """

    OPCODE = 7
    UNIT = Unit.ARRAY
    source: int = bits(WORD_ADDRESS, "word of row 0, column 0 of the first channel block")
    row_pitch: int = bits(EXTENT, "words between rows of the source")
    plane_pitch: int = bits(WORD_ADDRESS, "words between channel blocks of the source")
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
    taps_y: int = bits(TAPS, "rows of the kernel", default=1)
    taps_x: int = bits(TAPS, "columns of the kernel", default=1)
    blocks: int = bits(14, "channel blocks", default=1)
    repeats: int = bits(2, "tiles for each tap: weights beyond 8 bits come as sums", default=1)
    padding: int = bits(8, "value of every channel outside the source", signed=True)
    first: int = bits(1, "takes an empty accumulator bank and starts from zero; otherwise adds to the bank in use")
    last: int = bits(1, "gives the bank to the POST unit; otherwise the next instruction goes on with it")

    @property
    def tiles(self) -> int:
        """Weight tiles, through each of which every pixel goes."""
        return self.blocks * self.taps_y * self.taps_x * self.repeats


@dataclass(frozen=True, kw_only=True)
class CentredConvolve(Convolve):
    """A Convolve that takes ``padding`` from every byte of the source, so that outside the source there are zeros."""

    OPCODE = 13
    UNIT = Unit.ARRAY
