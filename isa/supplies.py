"""The data that LOAD supplies through FIFOs: the amounts that each instruction puts in, needs at the head and takes out."""

from dataclasses import replace
from enum import Enum

from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    THRESHOLDS,
    Convolve,
    Drain,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
    PostInstruction,
)


class Supply(Enum):
    """The FIFOs that LOAD fills, by instruction; amounts are words, entries and pages."""

    WEIGHTS = LoadWeights
    PARAMETERS = LoadParameters
    LOOKUP_TABLES = LoadLookupTable


def supplied(instruction: Instruction) -> tuple[Supply, int] | None:
    """The FIFO that the instruction fills, and the amount; None if it fills none."""
    match instruction:
        case LoadWeights(words=words):
            return Supply.WEIGHTS, words
        case LoadParameters(entries=entries):
            return Supply.PARAMETERS, entries
        case LoadLookupTable():
            return Supply.LOOKUP_TABLES, 1
    return None


def used(instruction: Instruction, supply: Supply, config: Config) -> int:
    """The amount at the FIFO's head that the instruction needs."""
    match supply, instruction:
        case Supply.WEIGHTS, Convolve(tiles=tiles):
            return tiles * config.size
        case Supply.PARAMETERS, Pool(kind=PoolKind.AVERAGE):
            return THRESHOLDS
        case Supply.PARAMETERS, Drain() | Pool(kind=PoolKind.SUM):
            return config.groups
        case Supply.LOOKUP_TABLES, PostInstruction(lookup_table=reads, release_lookup_table=releases):
            return int(bool(reads or releases))
    return 0


def taken(instruction: Instruction, supply: Supply, config: Config) -> int:
    """The amount of that which the instruction removes."""
    if supply is Supply.PARAMETERS and isinstance(instruction, PostInstruction) and not instruction.release_parameters:
        return 0
    if supply is Supply.LOOKUP_TABLES and isinstance(instruction, PostInstruction) and not instruction.release_lookup_table:
        return 0
    return used(instruction, supply, config)


def part(load: Instruction, first: int, count: int, config: Config) -> Instruction:
    """An instruction that puts ``count`` of the entries of ``load`` into its FIFO, starting with number ``first``.

    Raises ``ValueError`` if the instruction does not fill a FIFO or does not have these entries.
    """
    found = supplied(load)
    if found is None or not 0 <= first < first + count <= found[1]:
        raise ValueError(f"{count} from number {first} on of what {load} puts into a FIFO")
    match load:
        case LoadWeights(address=address):
            return replace(load, address=address + first * config.size, words=count)
        case LoadParameters(address=address):
            return replace(load, address=address + first * config.parameter_beats * config.size, entries=count)
    return load

