"""Instructions of the POST unit."""

from dataclasses import dataclass
from enum import IntEnum

from arrayloom.isa.fields import Instruction, Unit, bits
from arrayloom.isa.instructions.widths import (
    ADD_FRACTION,
    EXTENT,
    OFFSET,
    ORIGIN,
    RATIO,
    SIGNIFICANT,
    STRIDE,
    TAPS,
    WORD_ADDRESS,
    ZERO_POINT,
)


class PoolKind(IntEnum):
    """What a pool instruction makes of the pixels under its window."""

    MAXIMUM = 0
    SUM = 1
    AVERAGE = 2


@dataclass(frozen=True, kw_only=True)
class PostInstruction(Instruction):
    """What the instructions of the POST unit share: where results go and what is done to each byte at the end.

    No word that is read or written lies outside the scratchpad.

    After its own operation, a byte is clamped to [low, high], where low is not above high; with ``add`` the residual byte is
    added by ``arrayloom.isa.arithmetic.residual_add``; with ``lookup_table`` the result goes through the lookup table at the
    head of its FIFO.
    """

    destination: int = bits(WORD_ADDRESS, "word that the first pixel is written to")
    destination_pitch: int = bits(EXTENT, "words between rows of the destination")
    height: int = bits(EXTENT, "rows of the output region")
    width: int = bits(EXTENT, "columns of the output region")
    zero_point: int = bits(ZERO_POINT, "zero point of the result, in the signed domain", signed=True)
    low: int = bits(8, "lower clamp", signed=True, default=-128)
    high: int = bits(8, "upper clamp", signed=True, default=127)
    lookup_table: int = bits(1, "send the result through the lookup table at the head of its FIFO")
    release_lookup_table: int = bits(1, "drop that lookup table afterwards")
    release_parameters: int = bits(1, "drop the parameters used afterwards")


@dataclass(frozen=True, kw_only=True)
class ResidualInstruction(PostInstruction):
    """A POST instruction that can add a second operand, or multiply by it.

    The operand that is multiplied by ``ratio_a`` is the residual when ``swap`` is set and the unit's own byte otherwise.
    With ``multiply``, operand b of the add is the product of both, each with its offset, and operand a is
    ``product_zero``: with ``ratio_a`` = 1 that is rne(fl(fl(product * ratio_b) + product_zero)). ``ratio_b`` is then less
    than 1, ``add_offset`` zero, and ``a_offset`` and ``b_offset`` from -127 to 128. ``add_low`` is not above ``add_high``.
    """

    add: int = bits(1, "add the residual")
    swap: int = bits(1, "the residual is operand a of the add")
    residual: int = bits(WORD_ADDRESS, "word of the residual for the first pixel")
    residual_pitch: int = bits(EXTENT, "words between rows of the residual")
    ratio_a: int = bits(RATIO, f"ratio of operand a, {ADD_FRACTION} fraction bits")
    ratio_b: int = bits(RATIO, f"ratio of operand b, {ADD_FRACTION} fraction bits")
    add_offset: int = bits(OFFSET, f"offset of the add, {ADD_FRACTION} fraction bits", signed=True)
    a_offset: int = bits(ZERO_POINT, "added to operand a's byte: 128 for a sum of unsigned tensors, minus the zero point "
                                     "for a product", signed=True)
    b_offset: int = bits(ZERO_POINT, "added to operand b's byte, likewise", signed=True)
    multiply: int = bits(1, "with add: operand b is the product of both, operand a is product_zero")
    product_zero: int = bits(ZERO_POINT, "with multiply: the zero point of the product, as the model has it", signed=True)
    sum_offset: int = bits(ZERO_POINT, "added to the rounded sum: -128 where the result is unsigned, else 0", signed=True)
    add_low: int = bits(8, "lower clamp of the sum", signed=True, default=-128)
    add_high: int = bits(8, "upper clamp of the sum", signed=True, default=127)


@dataclass(frozen=True, kw_only=True)
class Drain(ResidualInstruction):
    """Requantizes the oldest full accumulator bank, pixel by pixel, and empties it; it has as many pixels as the bank.

    Uses size / lanes entries at the head of the parameter FIFO: group g, lane l is channel g * lanes + l. Reads nothing
    before its bank is full: what the Convolve that filled it had to wait for is complete.
    """

    OPCODE = 8
    UNIT = Unit.POST


@dataclass(frozen=True, kw_only=True)
class Elementwise(ResidualInstruction):
    """Takes bytes from the scratchpad instead of the accumulators; uses no parameters and no zero point."""

    OPCODE = 9
    UNIT = Unit.POST
    source: int = bits(WORD_ADDRESS, "word of the first pixel")
    source_pitch: int = bits(EXTENT, "words between rows of the source")


@dataclass(frozen=True, kw_only=True)
class Pool(PostInstruction):
    """Pools one channel block; taps outside the source are left out.

    MAXIMUM takes the largest byte. SUM adds the bytes and requantizes the sum with size / lanes parameter entries.
    AVERAGE adds float32 values in raster order and looks the sum up among 255 thresholds
    (``arrayloom.isa.arithmetic.average_terms``); it uses 256 parameter entries, the same in every lane.
    """

    OPCODE = 10
    UNIT = Unit.POST
    kind: int = bits(2, "0 maximum, 1 sum, 2 average")
    source: int = bits(WORD_ADDRESS, "word of row 0, column 0")
    row_pitch: int = bits(EXTENT, "words between rows of the source")
    source_height: int = bits(EXTENT, "rows of the source")
    source_width: int = bits(EXTENT, "columns of the source")
    origin_y: int = bits(ORIGIN, "source row of output row 0 at tap row 0", signed=True)
    origin_x: int = bits(ORIGIN, "source column of output column 0 at tap column 0", signed=True)
    stride_y: int = bits(STRIDE, "source rows between output rows", default=1)
    stride_x: int = bits(STRIDE, "source columns between output columns", default=1)
    dilation_y: int = bits(STRIDE, "source rows between taps", default=1)
    dilation_x: int = bits(STRIDE, "source columns between taps", default=1)
    taps_y: int = bits(TAPS, "rows of the window", default=1)
    taps_x: int = bits(TAPS, "columns of the window", default=1)
    multiplier: int = bits(SIGNIFICANT, f"AVERAGE: the scale of the source as a {SIGNIFICANT}-bit integer")
    source_zero: int = bits(8, "AVERAGE: the zero point of the source, signed domain", signed=True)
