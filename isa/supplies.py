"""What LOAD supplies the other units with through FIFOs: what each instruction puts in, needs at the head and takes out."""

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
    """A FIFO that LOAD fills, by the instruction that does; amounts are words, entries and pages."""

    WEIGHTS = LoadWeights
    PARAMETERS = LoadParameters
    LOOKUP_TABLES = LoadLookupTable


def supplied(instruction: Instruction) -> tuple[Supply, int] | None:
    """The FIFO that the instruction fills, and with how much; None where it fills none."""
    match instruction:
        case LoadWeights(words=words):
            return Supply.WEIGHTS, words
        case LoadParameters(entries=entries):
            return Supply.PARAMETERS, entries
        case LoadLookupTable():
            return Supply.LOOKUP_TABLES, 1
    return None


def used(instruction: Instruction, supply: Supply, config: Config) -> int:
    """How much of what is at the FIFO's head the instruction needs."""
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
    """How much of that is gone when the instruction is complete."""
    if supply is Supply.PARAMETERS and isinstance(instruction, PostInstruction) and not instruction.release_parameters:
        return 0
    if supply is Supply.LOOKUP_TABLES and isinstance(instruction, PostInstruction) and not instruction.release_lookup_table:
        return 0
    return used(instruction, supply, config)


def part(load: Instruction, first: int, count: int, config: Config) -> Instruction:
    """The instruction that puts ``count`` of what ``load`` puts into its FIFO, from number ``first`` on.

    Raises ``ValueError`` for an instruction that puts nothing into a FIFO, and for what it does not put there.
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

