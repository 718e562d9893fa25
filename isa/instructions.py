"""The instructions. The emulator, which executes them one by one, defines exactly what each does.

Addresses of memory are bytes from the program's memory base and multiples of the word; addresses on chip, pitches and
counts are words. A *region* is ``height`` rows of ``width`` pixels; consecutive rows are a pitch apart.
"""

from dataclasses import dataclass
from enum import IntEnum

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import FIELD_BYTES, INSTRUCTION_BYTES, Instruction, Unit, bits, check_of

ADDRESS = 36        # bits in a byte address of memory
WORD_ADDRESS = 20   # bits in a word address of the scratchpad
EXTENT = 16         # bits in a height, a width or a row pitch
TRANSFER = 24       # bits in the words of a transfer, or of one of its runs
MEMORY_PITCH = 28   # bits in the words between runs in memory
ORIGIN = 17         # bits in a source row or column outside the source too
STRIDE = 8          # bits in a stride or a dilation
TAPS = 10           # bits in the rows or columns of a kernel or a window
DEPTHWISE_TAPS = 3  # likewise of a kernel of the DEPTHWISE unit
EPSILON = 41        # bits in what is added to a variance
FACTOR = 16         # bits in the steps of a softmax's result
COUNTED = 16        # bits in the elements that are normalized together
ZERO_POINT = 9      # bits in a zero point or in what is added to a byte
SIGNIFICANT = 24    # bits of a float32 significand
ADD_FRACTION = 38   # fraction bits of the constants of the residual add
RATIO = 44          # bits in a ratio of the residual add
OFFSET = 54         # bits in the offset of the residual add
PRODUCT_OFFSETS = -127, 128     # least and largest a_offset and b_offset of a product: minus a zero point of signed bytes
BYTE_VALUES = 256   # values of a byte
LOOKUP_TABLE_WORDS = BYTE_VALUES   # words in a page of the lookup table FIFO: one for each value of a byte
THRESHOLDS = BYTE_VALUES    # parameter entries that an average uses: one for each value of its result


class PoolKind(IntEnum):
    """What a pool instruction makes of the pixels under its window."""

    MAXIMUM = 0
    SUM = 1
    AVERAGE = 2


@dataclass(frozen=True, kw_only=True)
class End(Instruction):
    """Ends the program: done when every unit is idle; tokens that nobody took are an error."""

    OPCODE = 1
    UNIT = None


@dataclass(frozen=True, kw_only=True)
class LoadWeights(Instruction):
    """Appends ``words`` words of memory to the weight FIFO: rows of tiles in the order the array takes them."""

    OPCODE = 2
    UNIT = Unit.LOAD
    address: int = bits(ADDRESS, "first byte in memory")
    words: int = bits(TRANSFER, "words to load; a multiple of the array's size")


@dataclass(frozen=True, kw_only=True)
class LoadParameters(Instruction):
    """Appends ``entries`` entries to the parameter FIFO.

    An entry in memory is one little-endian 32-bit bias for each lane, then one 32-bit scale for each lane (24 bits of
    multiplier, 6 bits of shift above). For the thresholds of an average the two are the low and high half of 64 bits.
    """

    OPCODE = 3
    UNIT = Unit.LOAD
    address: int = bits(ADDRESS, "first byte in memory")
    entries: int = bits(16, "entries to load")


@dataclass(frozen=True, kw_only=True)
class LoadLookupTable(Instruction):
    """Appends one page to the lookup table FIFO: a word for each value of a byte.

    Byte c of word i is what input i - 128 becomes in channel c.
    """

    OPCODE = 4
    UNIT = Unit.LOAD
    address: int = bits(ADDRESS, "first byte in memory")


@dataclass(frozen=True, kw_only=True)
class LoadActivations(Instruction):
    """Copies ``rows`` runs of ``words`` words from memory to the scratchpad."""

    OPCODE = 5
    UNIT = Unit.LOAD
    address: int = bits(ADDRESS, "first byte of the first run in memory")
    destination: int = bits(WORD_ADDRESS, "first word of the first run on chip")
    words: int = bits(WORD_ADDRESS, "words in a run")
    rows: int = bits(EXTENT, "runs")
    memory_pitch: int = bits(MEMORY_PITCH, "words between the starts of runs in memory")
    chip_pitch: int = bits(WORD_ADDRESS, "words between the starts of runs on chip")


@dataclass(frozen=True, kw_only=True)
class Store(Instruction):
    """Copies ``rows`` runs of ``words`` words from the scratchpad to memory; complete when memory has answered."""

    OPCODE = 6
    UNIT = Unit.STORE
    address: int = bits(ADDRESS, "first byte of the first run in memory")
    source: int = bits(WORD_ADDRESS, "first word of the first run on chip")
    words: int = bits(WORD_ADDRESS, "words in a run")
    rows: int = bits(EXTENT, "runs")
    memory_pitch: int = bits(MEMORY_PITCH, "words between the starts of runs in memory")
    chip_pitch: int = bits(WORD_ADDRESS, "words between the starts of runs on chip")


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


@dataclass(frozen=True, kw_only=True)
class CentredConvolve(Convolve):
    """A Convolve that takes ``padding`` from every byte of the source, so that outside the source there are zeros."""

    OPCODE = 13
    UNIT = Unit.ARRAY


@dataclass(frozen=True, kw_only=True)
class FeedWeights(Instruction):
    """Appends ``tiles`` tiles to the weight FIFO, of words of the scratchpad, less ``zero``.

    Row i of tile t is the word ``source + t * pitch + i``; with ``turned`` byte i of row c is byte c of that word. What
    would come of words from ``rows`` on is zero. Weights in the FIFO have 9 bits.
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
    rounded once, half to even; from 511 on all are 511.
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

    A sum is sign * rne(fl(fl(channels * x - sum(x)) * fl(2**20 / fl(sqrt(fl(v)))))), with ``fl`` one rounding to float32.
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


INSTRUCTIONS: tuple[type[Instruction], ...] = (
    End, LoadWeights, LoadParameters, LoadLookupTable, LoadActivations, Store, Convolve, Drain, Elementwise, Pool, Depthwise,
    DrainDepthwise, CentredConvolve, FeedWeights, Turn, Softmax, Moments, Normalize, DrainAttention)
OF_DEPTHWISE = (Depthwise, DrainDepthwise)
"""Those that only an accelerator with the DEPTHWISE unit has."""
OF_ATTENTION = (CentredConvolve, FeedWeights, Turn, Softmax, Moments, Normalize, DrainAttention)
"""Those that only an accelerator with the ATTENTION unit has."""
BY_OPCODE = {cls.OPCODE: cls for cls in INSTRUCTIONS}
BY_MNEMONIC = {cls.mnemonic(): cls for cls in INSTRUCTIONS}


def decode(data: bytes, index: int = 0) -> Instruction:
    """The instruction in 64 bytes at place ``index`` from a program's memory base.

    Raises ``EncodingError`` for a check that does not fit, an unknown opcode, nonzero reserved bits or an illegal mask.
    """
    if len(data) != INSTRUCTION_BYTES:
        raise EncodingError(f"an instruction is {INSTRUCTION_BYTES} bytes, not {len(data)}")
    fields = data[:FIELD_BYTES]
    if data[FIELD_BYTES:] != check_of(fields, index):
        raise EncodingError(f"the check of instruction {index} does not fit it: it is damaged, or belongs elsewhere")
    word = int.from_bytes(fields, "little")
    opcode = Instruction.specs()[0].extract(word)
    cls = BY_OPCODE.get(opcode)
    if cls is None:
        raise EncodingError(f"opcode {opcode}: unknown; known are {sorted(BY_OPCODE)}")
    return cls.from_word(word)


def parse(text: str) -> Instruction:
    """The instruction that prints as ``text``; raises ``EncodingError`` for an unknown name or a bad value."""
    mnemonic, *parts = text.split()
    cls = BY_MNEMONIC.get(mnemonic)
    if cls is None:
        raise EncodingError(f"instruction {mnemonic!r}: unknown; known are {', '.join(BY_MNEMONIC)}")
    specs = {spec.name: spec for spec in cls.specs()[1:]}
    values = dict.fromkeys(specs, 0)
    for part in parts:
        name, _, value = part.partition("=")
        if name not in specs:
            raise EncodingError(f"{mnemonic}: field {name!r}: unknown; known are {', '.join(specs)}")
        values[name] = _parse_value(mnemonic, name, value)
    return cls(**values)


def _parse_value(mnemonic: str, name: str, value: str) -> int:
    try:
        if name in ("wait", "signal"):
            return sum(1 << Unit[unit] for unit in value.split("+"))
        return int(value, 0)
    except (KeyError, ValueError):
        raise EncodingError(f"{mnemonic}: {name} = {value!r}: not a value of this field") from None
