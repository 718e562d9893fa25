"""The words of the scratchpad and of memory that an instruction reads and writes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    BYTE_VALUES,
    LOOKUP_TABLE_WORDS,
    TRANSFER,
    Convolve,
    Depthwise,
    Elementwise,
    FeedWeights,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Moments,
    Normalize,
    Pool,
    PostInstruction,
    ResidualInstruction,
    Softmax,
    Store,
    Turn,
)

Words = NDArray[np.int64]

NONE: Words = np.zeros(0, np.int64)
FLOAT_BYTES = 4     # of a float32 value
MOST_WORDS = 1 << TRANSFER      # of one instruction


@dataclass(frozen=True)
class Accesses:
    """Numbers of words, each int64[n], possibly with duplicates.

    Attributes
    ----------
    reads
        Scratchpad words read.
    writes
        Scratchpad words written.
    memory_reads
        Memory words read, relative to its base.
    memory_writes
        Memory words written, likewise.
    """

    reads: Words = field(default_factory=lambda: NONE)
    writes: Words = field(default_factory=lambda: NONE)
    memory_reads: Words = field(default_factory=lambda: NONE)
    memory_writes: Words = field(default_factory=lambda: NONE)

    @property
    def count(self) -> int:
        """The total number of words."""
        return sum(map(len, (self.reads, self.writes, self.memory_reads, self.memory_writes)))


def accesses(instruction: Instruction, config: Config) -> Accesses:
    """The accesses of ``instruction`` on an accelerator of ``config``, without FIFOs and accumulators.

    Raises ``EncodingError`` for more words than ``MOST_WORDS``, more than any legal instruction accesses.
    """
    match instruction:
        case LoadWeights(address=address, words=words):
            return Accesses(memory_reads=_memory(address, words, config))
        case LoadParameters(address=address, entries=entries):
            return Accesses(memory_reads=_memory(address, entries * config.parameter_beats, config))
        case LoadLookupTable(address=address):
            return Accesses(memory_reads=_memory(address, LOOKUP_TABLE_WORDS, config))
        case LoadActivations():
            return Accesses(writes=_on_chip(instruction, instruction.destination),
                            memory_reads=_in_memory(instruction, config))
        case Store():
            return Accesses(reads=_on_chip(instruction, instruction.source), memory_writes=_in_memory(instruction, config))
        case Convolve():
            planes = np.arange(instruction.blocks) * instruction.plane_pitch
            window = _window(instruction)
            _require_few(len(planes), len(window))
            return Accesses(reads=(planes[:, None] + window).ravel())
        case Depthwise(weights=first, repeats=repeats, taps_y=rows, taps_x=columns):
            kernel = _runs(first, 0, repeats * rows * columns, 1)
            return Accesses(reads=np.concatenate([kernel, _window(instruction)]))
        case FeedWeights():
            return Accesses(reads=_runs(instruction.source, instruction.pitch, instruction.rows, instruction.tiles))
        case Turn(destination=first, destination_pitch=pitch, tiles=tiles):
            return Accesses(reads=_runs(instruction.source, instruction.pitch, instruction.rows, tiles),
                            writes=_runs(first, pitch, config.size, tiles))
        case Softmax(source=first, width=width, table=table):
            words = BYTE_VALUES * FLOAT_BYTES // config.size
            return Accesses(reads=np.concatenate([_runs(table, 0, words, 1), _runs(first, 0, width, 1)]))
        case Moments():
            return Accesses(reads=_runs(instruction.source, instruction.plane_pitch, instruction.width, instruction.blocks))
        case Normalize(source=first, width=width, signs=signs):
            return Accesses(reads=np.concatenate([_runs(signs, 0, 1, 1), _runs(first, 0, width, 1)]))
        case PostInstruction():
            written = _runs(instruction.destination, instruction.destination_pitch, instruction.width, instruction.height)
            return Accesses(reads=_operands(instruction), writes=written)
    return Accesses()


def _operands(instruction: PostInstruction) -> Words:
    width, height = instruction.width, instruction.height
    parts = [NONE]
    if isinstance(instruction, Pool):
        parts.append(_window(instruction))
    if isinstance(instruction, Elementwise):
        parts.append(_runs(instruction.source, instruction.source_pitch, width, height))
    if isinstance(instruction, ResidualInstruction) and instruction.add:
        parts.append(_runs(instruction.residual, instruction.residual_pitch, width, height))
    return np.concatenate(parts)


def _window(one: Convolve | Depthwise | Pool) -> Words:
    """The pixels inside the source under the windows of all outputs."""
    rows = _positions(one.origin_y, one.stride_y, one.height, one.dilation_y, one.taps_y, one.source_height)
    columns = _positions(one.origin_x, one.stride_x, one.width, one.dilation_x, one.taps_x, one.source_width)
    _require_few(len(rows), len(columns))
    return (one.source + rows[:, None] * one.row_pitch + columns).ravel()


def _positions(origin: int, stride: int, count: int, dilation: int, taps: int, extent: int) -> Words:
    """Rows or columns of the source that are read, each once."""
    read = np.zeros(extent, np.bool_)
    outputs = origin + stride * np.arange(count)
    for tap in range(taps):
        places = outputs + tap * dilation
        read[places[(places >= 0) & (places < extent)]] = True
    return np.flatnonzero(read)


def _runs(first: int, pitch: int, words: int, rows: int) -> Words:
    _require_few(rows, words)
    return (first + np.arange(rows)[:, None] * pitch + np.arange(words)).ravel()


def _require_few(rows: int, words: int) -> None:
    if rows * words > MOST_WORDS:
        raise EncodingError(f"it accesses {rows:,} times {words:,} words: no accelerator has so many")


def _memory(address: int, words: int, config: Config) -> Words:
    return address // config.size + np.arange(words)


def _on_chip(one: LoadActivations | Store, first: int) -> Words:
    return _runs(first, one.chip_pitch, one.words, one.rows)


def _in_memory(one: LoadActivations | Store, config: Config) -> Words:
    return _runs(one.address // config.size, one.memory_pitch, one.words, one.rows)


def distinct(ascending: Words) -> Words:
    """int64[n] without duplicates. ``numpy.unique`` uses a hash table for integers, which is far slower."""
    return ascending[np.diff(ascending, prepend=-1) > 0]
