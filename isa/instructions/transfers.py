"""Instructions that move data between memory and the chip, and the end of a program."""

from dataclasses import dataclass

from arrayloom.isa.fields import Instruction, Unit, bits
from arrayloom.isa.instructions.widths import ADDRESS, EXTENT, MEMORY_PITCH, TRANSFER, WORD_ADDRESS


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
