"""Cycles in which a unit computes or transfers for an instruction, whatever it may have to wait for."""

from collections.abc import Iterable

from arrayloom.compiler.cost import timing
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    Convolve,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
    PostInstruction,
    ResidualInstruction,
    Store,
)

SLOWNESS = 32               # how much longer a word may take on a slow bus than on one that gives a word in every cycle
INSTRUCTION_CYCLES = 1000   # for tokens, latencies and bursts
START_CYCLES = 1_000_000    # until the bus answers


def busy_cycles(instruction: Instruction, config: Config) -> int:
    """Cycles of the unit that executes ``instruction``; those of LOAD, ARRAY and STORE are exact."""
    match instruction:
        case Convolve(height=height, width=width, tiles=tiles):
            return height * width * tiles
        case LoadWeights(words=words):
            return words
        case LoadParameters(entries=entries):
            return entries * config.parameter_beats
        case LoadLookupTable():
            return LOOKUP_TABLE_WORDS
        case LoadActivations(words=words, rows=rows) | Store(words=words, rows=rows):
            return words * rows
        case PostInstruction(height=height, width=width):
            return height * width * _word_cycles(instruction, config.groups)
    return 0


def cycle_limit(instructions: Iterable[Instruction], config: Config) -> int:
    """Cycles that no run takes which goes on, even if its units work one after the other and memory is very slow."""
    return START_CYCLES + SLOWNESS * sum(INSTRUCTION_CYCLES + busy_cycles(one, config) for one in instructions)


def average_adds(taps: int, groups: int) -> int:
    """Of one sum of an average, from its first addition to its last."""
    return (taps - 1) * max(groups, timing.AVERAGE_SLOTS) + groups


def average_search(groups: int) -> int:
    """From the first look among an average's thresholds for one sum to its group."""
    return (timing.SEARCH_STEPS - 1) * max(groups, timing.SEARCH_SLOTS) + groups + timing.SEARCH_LATENCY


def _word_cycles(instruction: PostInstruction, groups: int) -> int:
    """For one word of the result: its groups enter the lanes, or its operands are read, whichever takes longer."""
    if isinstance(instruction, Pool):
        taps = instruction.taps_y * instruction.taps_x
        if instruction.kind == PoolKind.SUM:
            return taps + groups
        if instruction.kind == PoolKind.AVERAGE:
            return average_adds(taps, groups) + average_search(groups) + groups
        return max(groups, taps)
    reads = isinstance(instruction, ResidualInstruction) and instruction.add
    return max(groups, 1 + bool(reads))
