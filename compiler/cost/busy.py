"""The cycles in which a unit computes or transfers for an instruction, without the cycles in which it waits."""

from collections.abc import Iterable

from arrayloom.compiler.cost import timing
from arrayloom.isa.accesses import FLOAT_BYTES
from arrayloom.isa.config import WIDEST_STRIDE, Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    BYTE_VALUES,
    LOOKUP_TABLE_WORDS,
    Convolve,
    Depthwise,
    FeedWeights,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Moments,
    Normalize,
    Pool,
    PoolKind,
    PostInstruction,
    ResidualInstruction,
    Softmax,
    Store,
    Turn,
)

SLOWNESS = 32               # allowed ratio of the time on a slow bus to the time on one that transfers a word per cycle
ATTENTION_WORD = 7          # from asking for words to the first of them
ATTENTION_LOOK = 3          # from a group of bytes to their contributions
ATTENTION_DIVIDE = 14       # from contributions to quotients
ATTENTION_SQUARE = 6        # from the last word of a square to the first of the next
ATTENTION_PIXEL = 10        # from the last word of a pixel to the first of the next
ATTENTION_ROOT = 34         # from a pixel to the next, at least: a root is found, and the reciprocal of the one before
ATTENTION_MOMENTS = 71      # of a pixel, from asking for its words to its reciprocal root, without one for each word
ATTENTION_LANE = 11         # from a group of bytes to their normalized sums
LEAST_PASS = 6              # cycles between two additions to the same sum of DEPTHWISE
INSTRUCTION_CYCLES = 1000   # allowance per instruction for tokens, latencies and bursts
START_CYCLES = 1_000_000    # allowance until the bus first answers


def busy_cycles(instruction: Instruction, config: Config) -> int:
    """Returns the cycles of the unit that executes ``instruction``; those of LOAD, ARRAY and STORE are exact."""
    match instruction:
        case Convolve(height=height, width=width, tiles=tiles):
            return height * width * tiles
        case Depthwise():
            return instruction.repeats * instruction.taps_y * sum(depthwise_passes(instruction, config.depthwise_columns))
        case LoadWeights(words=words):
            return words
        case LoadParameters(entries=entries):
            return entries * config.parameter_beats
        case LoadLookupTable():
            return LOOKUP_TABLE_WORDS
        case LoadActivations(words=words, rows=rows) | Store(words=words, rows=rows):
            return words * rows
        case FeedWeights(tiles=tiles, rows=rows) | Turn(tiles=tiles, rows=rows):
            first, more = ATTENTION_SQUARE + rows + config.size, max(ATTENTION_SQUARE + rows, config.size)
            return first + (tiles - 1) * more
        case Softmax(width=width):
            return _softmax_cycles(width, config)
        case Moments(width=width, blocks=blocks):
            return ATTENTION_MOMENTS + blocks + (width - 1) * max(blocks + ATTENTION_PIXEL, ATTENTION_ROOT)
        case Normalize(width=width):
            return 2 * ATTENTION_WORD + width * _attention_groups(config) + ATTENTION_LANE
        case PostInstruction(height=height, width=width):
            return height * width * _word_cycles(instruction, config.groups)
    return 0


def _attention_groups(config: Config) -> int:
    return config.size // config.attention_lanes


def _softmax_cycles(width: int, config: Config) -> int:
    """The table; then every word three times."""
    table = BYTE_VALUES * FLOAT_BYTES // config.size
    between = 4 * ATTENTION_WORD + ATTENTION_LOOK + ATTENTION_DIVIDE
    return table + between + width * (1 + 2 * _attention_groups(config))


def depthwise_passes(i: Depthwise, columns: int) -> list[int]:
    """Returns the cycles of each pass of a Depthwise over its region for one row of its kernel.

    A pass multiplies with up to ``columns`` columns of the kernel. It takes a cycle per weight, and a cycle per source
    column from the one that completes the first output of a row. The columns before that one cost cycles once if rows follow
    each other without a gap, otherwise in each row.
    """
    narrow = i.dilation_x != 1 or i.taps_x == 1 or not 0 < i.stride_x <= WIDEST_STRIDE
    together, row = (1, i.width) if narrow else (columns, i.width * i.stride_x)
    cycles = []
    for first in range(0, i.taps_x, together):
        origin = i.origin_x + first * i.dilation_x
        count = min(together, i.taps_x - first)
        skipped = min(max(-origin, 0), count - 1)
        lead = count - 1 - skipped
        follows = narrow or origin + skipped + row >= i.source_width
        slots = i.height * row + lead if follows else i.height * (row + lead)
        cycles.append(max(slots, LEAST_PASS) + count)
    return cycles


def cycle_limit(instructions: Iterable[Instruction], config: Config) -> int:
    """Returns a limit of cycles for a run: enough even if the units work one after the other and memory is very slow."""
    return START_CYCLES + SLOWNESS * sum(INSTRUCTION_CYCLES + busy_cycles(one, config) for one in instructions)


def average_adds(taps: int, groups: int) -> int:
    """Returns the cycles from the first addition of an average's sum to its last."""
    return (taps - 1) * max(groups, timing.AVERAGE_SLOTS) + groups


def average_search(groups: int) -> int:
    """Returns the cycles from the first comparison of an average's sum with a threshold to its group."""
    return (timing.SEARCH_STEPS - 1) * max(groups, timing.SEARCH_SLOTS) + groups + timing.SEARCH_LATENCY


def _word_cycles(instruction: PostInstruction, groups: int) -> int:
    """Returns the cycles for a word of the result: of its groups entering the lanes or of its reads, whichever is larger."""
    if isinstance(instruction, Pool):
        taps = instruction.taps_y * instruction.taps_x
        if instruction.kind == PoolKind.SUM:
            return taps + groups
        if instruction.kind == PoolKind.AVERAGE:
            return average_adds(taps, groups) + average_search(groups) + groups
        return max(groups, taps)
    reads = isinstance(instruction, ResidualInstruction) and instruction.add
    return max(groups, 1 + bool(reads))
