"""Instructions of accelerators with the ATTENTION unit, except the convolution of the array."""

from dataclasses import dataclass

from arrayloom.isa.fields import Instruction, Unit, bits
from arrayloom.isa.instructions.post import Drain
from arrayloom.isa.instructions.widths import BYTE_VALUES, COUNTED, EPSILON, EXTENT, FACTOR, WORD_ADDRESS


@dataclass(frozen=True, kw_only=True)
class FeedWeights(Instruction):
    """Appends ``tiles`` tiles to the weight FIFO, of words of the scratchpad, less ``zero``.

    Row i of tile t is the word ``source + t * pitch + i``; with ``turned`` byte i of row c is byte c of that word. What
    would come of words from ``rows`` on is zero. Weights in the FIFO have 9 bits. It begins after every earlier LoadWeights
    is complete, and a LoadWeights after every earlier FeedWeights, which tokens ensure; it is illegal otherwise.
    """

    OPCODE = 14
    UNIT = Unit.ATTENTION
    source: int = bits(WORD_ADDRESS, "first word of the first tile")
    pitch: int = bits(WORD_ADDRESS, "words between tiles")
    tiles: int = bits(14, "tiles")
    rows: int = bits(8, "words that are read for a tile: 1 to the array's size")
    turned: int = bits(1, "words are columns of the tile")
    zero: int = bits(8, "taken from every byte", signed=True)


@dataclass(frozen=True, kw_only=True)
class Turn(Instruction):
    """Turns ``tiles`` squares of bytes in the scratchpad about their diagonals.

    Byte i of the word ``destination + t * destination_pitch + c`` becomes byte c of the word ``source + t * pitch + i``, or
    zero from ``rows`` on; c and i go over the array's size. No word is read and written.
    """

    OPCODE = 15
    UNIT = Unit.ATTENTION
    source: int = bits(WORD_ADDRESS, "first word of the first square")
    pitch: int = bits(WORD_ADDRESS, "words between squares")
    tiles: int = bits(14, "squares")
    rows: int = bits(8, "words that are read for a square: 1 to the array's size")
    destination: int = bits(WORD_ADDRESS, "first word of the first turned square")
    destination_pitch: int = bits(WORD_ADDRESS, "words between turned squares")


@dataclass(frozen=True, kw_only=True)
class Softmax(Instruction):
    """Softmax over ``width`` words, each byte's channel for itself, into a bank of the ATTENTION unit's sums.

    A byte contributes the float32 value in the table at 255 less its distance from the largest of its channel. A sum of the
    bank is the contribution times ``factor``, divided by the float32 sum of all contributions in the order of the words and
    rounded once, half to even; from 511 on all are 511. Illegal is a table with a value that is negative or not finite, or
    whose last value is zero, and contributions whose sum is more than float32 holds.
    """

    OPCODE = 16
    UNIT = Unit.ATTENTION
    source: int = bits(WORD_ADDRESS, "first word")
    width: int = bits(EXTENT, "words; at most the accumulator depth")
    table: int = bits(WORD_ADDRESS, f"first word of the table: {BYTE_VALUES} float32 values that are not negative")
    factor: int = bits(FACTOR, "steps of the result from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Moments(Instruction):
    """Finds sum and spread of the first ``channels`` channels of ``width`` pixels, and keeps them for Normalize.

    A pixel's bytes are ``blocks`` words, ``plane_pitch`` apart; v = channels * sum(x**2) - sum(x)**2 + epsilon.
    """

    OPCODE = 17
    UNIT = Unit.ATTENTION
    source: int = bits(WORD_ADDRESS, "word of the first pixel in the first channel block")
    plane_pitch: int = bits(WORD_ADDRESS, "words between channel blocks")
    blocks: int = bits(14, "channel blocks")
    channels: int = bits(COUNTED, "channels; those of all blocks but for some of the last")
    width: int = bits(EXTENT, "pixels; at most the accumulator depth")
    epsilon: int = bits(EPSILON, "added to every spread; not zero")


@dataclass(frozen=True, kw_only=True)
class Normalize(Instruction):
    """Normalizes one channel block of the pixels of the Moments before into a bank of the ATTENTION unit's sums.

    A sum is sign * rne(fl(fl(channels * x - sum(x)) * fl(2**20 / fl(sqrt(fl(v)))))), with ``fl`` one rounding to float32;
    of more than 32 bits the lower 32 remain.
    """

    OPCODE = 18
    UNIT = Unit.ATTENTION
    source: int = bits(WORD_ADDRESS, "word of the first pixel")
    width: int = bits(EXTENT, "pixels, as many as of the Moments")
    signs: int = bits(WORD_ADDRESS, "word of the signs: that of byte c, or 0, is for channel c")


@dataclass(frozen=True, kw_only=True)
class DrainAttention(Drain):
    """A Drain of the oldest full bank of the ATTENTION unit's sums, of which there are as many as accumulator banks.

    Reads nothing before its bank is full: what the instruction that filled it had to wait for is complete.
    """

    OPCODE = 19
    UNIT = Unit.POST
