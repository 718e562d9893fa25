"""A program on units with random speeds: finds accesses whose order its tokens do not enforce.

Only the guarantees of the ISA order them: each unit starts and completes its instructions in order, tokens are respected,
and a Drain begins when its sums are complete. Accesses are computed from the instructions' fields.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Unit, units_in
from arrayloom.isa.instructions import (
    THRESHOLDS,
    Convolve,
    Drain,
    Elementwise,
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
from arrayloom.isa.program import Program
from arrayloom.isa.registers import TOKEN_BITS
from arrayloom.isa.tokens import token_givers
from arrayloom.sim.emulator.window import window

MOST_TOKENS = (1 << TOKEN_BITS) - 1

Words = NDArray[np.int64]
NOTHING: Words = np.zeros(0, np.int64)


def chip_reads(i: Instruction) -> Words:
    """Words of the scratchpad that an instruction reads."""
    if isinstance(i, Convolve):
        addresses, inside = window(i)
        planes = np.arange(i.blocks)[:, None] * i.plane_pitch
        return (addresses[inside][None] + planes).ravel()
    if isinstance(i, Store):
        return _runs(i.source, i.rows, i.chip_pitch, i.words)
    words = NOTHING
    if isinstance(i, Pool):
        addresses, inside = window(i)
        words = addresses[inside]
    if isinstance(i, Elementwise):
        words = _runs(i.source, i.height, i.source_pitch, i.width)
    if isinstance(i, ResidualInstruction) and i.add:
        words = np.concatenate([words, _runs(i.residual, i.height, i.residual_pitch, i.width)])
    return words


def chip_writes(i: Instruction) -> Words:
    """Words of the scratchpad that an instruction writes."""
    if isinstance(i, PostInstruction):
        return _runs(i.destination, i.height, i.destination_pitch, i.width)
    if isinstance(i, LoadActivations):
        return _runs(i.destination, i.rows, i.chip_pitch, i.words)
    return NOTHING


def memory_words(i: LoadActivations | Store, size: int) -> Words:
    return _runs(i.address // size, i.rows, i.memory_pitch, i.words)


def _runs(first: int, rows: int, pitch: int, words: int) -> Words:
    return (first + (np.arange(rows) * pitch)[:, None] + np.arange(words)).ravel()


@dataclass
class _Times:
    """When each unit last read and wrote each word."""

    words: int
    written: NDArray[np.float64] = field(init=False)
    read: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.written = np.zeros((len(Unit), self.words))
        self.read = np.zeros((len(Unit), self.words))

    def touch(self, unit: Unit, reads: Words, writes: Words, start: float, end: float) -> bool:
        """Records an instruction; False if it starts before an access that it must wait for has completed."""
        others = [other for other in Unit if other is not unit]
        safe = bool((self.written[:, reads] <= start).all())
        safe &= bool((self.written[others][:, writes] <= start).all() and (self.read[others][:, writes] <= start).all())
        self.written[unit, writes] = end
        self.read[unit, reads] = end
        return safe


def find_race(program: Program, config: Config, seed: int) -> str | None:
    """The first instruction that can start too early at the speeds of a seed, or tokens that overflow; else None.

    With odd seeds the units have queues of the configured depth, with even seeds queues that never fill.
    """
    return _Run(program, config, seed).find()


class _Run:
    def __init__(self, program: Program, config: Config, seed: int) -> None:
        self.program, self.config = program, config
        self.rng = np.random.default_rng(seed)
        self.bounded = bool(seed % 2)
        self.speeds = self.rng.choice([1, 30, 1000], len(Unit))
        self.start = dict.fromkeys(Unit, 0.0)
        self.end = dict.fromkeys(Unit, 0.0)
        self.popped: dict[Unit, deque[float]] = {unit: deque([0.0] * config.queue_depth, config.queue_depth)
                                                 for unit in Unit}
        self.dispatched = 0.0
        self.summed = 0.0
        self.instructions = list(program)
        self.givers = token_givers(self.instructions)
        self.ends: dict[int, float] = {}    # counts, up to each instruction
        self.counts: dict[tuple[Unit, Unit], list[tuple[float, int]]] = defaultdict(list)
        self.chip, self.memory = _Times(config.activation_words), _Times(program.memory_bytes // config.size)

    def find(self) -> str | None:
        for index, instruction in enumerate(self.instructions):
            unit = instruction.UNIT
            if unit is not None and not self._execute(unit, index, instruction):
                return f"instruction {index} starts too early: {instruction}"
        return next((f"{pair}: tokens overflow" for pair, events in self.counts.items() if _most(events) > MOST_TOKENS),
                    None)

    def _execute(self, unit: Unit, index: int, i: Instruction) -> bool:
        start = max(self.start[unit], self._dispatch(unit))
        for producer in units_in(i.wait):
            start = max(start, self.ends[int(self.givers[producer][index])])
        if isinstance(i, Drain):
            start = max(start, self.summed)
        end = self.ends[index] = max(self.end[unit], start + self.rng.exponential(self.speeds[unit]))
        if isinstance(i, Convolve) and i.last:
            self.summed = end
        self._account(unit, i, start, end)
        return self._touch(unit, i, start, end)

    def _dispatch(self, unit: Unit) -> float:
        if self.bounded:
            self.dispatched = max(self.dispatched, self.popped[unit][0])
        return self.dispatched

    def _account(self, unit: Unit, i: Instruction, start: float, end: float) -> None:
        self.start[unit], self.end[unit] = start, end
        self.popped[unit].append(start)
        for other in units_in(i.wait):
            if other is not unit:
                self.counts[unit, other].append((start, -1))
        for other in units_in(i.signal):
            self.counts[other, unit].append((end, 1))

    def _touch(self, unit: Unit, i: Instruction, start: float, end: float) -> bool:
        safe = self.chip.touch(unit, chip_reads(i), chip_writes(i), start, end)
        if isinstance(i, LoadActivations):
            safe &= self.memory.touch(unit, memory_words(i, self.config.size), NOTHING, start, end)
        if isinstance(i, Store):
            safe &= self.memory.touch(unit, NOTHING, memory_words(i, self.config.size), start, end)
        return safe


def _most(events: list[tuple[float, int]]) -> int:
    return int(np.cumsum([change for _, change in sorted(events)]).max())


def find_stall(program: Program, config: Config) -> str | None:
    """The first load that cannot complete after all earlier instructions, because its FIFO is too small; else None.

    A program whose instructions can complete one by one in order cannot deadlock: the oldest one can always complete.
    """
    held: dict[str, int] = {"parameters": 0, "pages": 0}
    for index, i in enumerate(program):
        held["parameters"] += i.entries if isinstance(i, LoadParameters) else -_released(i, config)
        held["pages"] += isinstance(i, LoadLookupTable) - int(getattr(i, "release_lookup_table", 0))
        if held["parameters"] > config.parameter_entries or held["pages"] > config.table_pages:
            return f"instruction {index} finds no room in addition to {held}: {i}"
    return _find_weight_stall(program, config)


def _released(i: Any, config: Config) -> int:
    if not getattr(i, "release_parameters", 0):
        return 0
    return THRESHOLDS if isinstance(i, Pool) and i.kind == PoolKind.AVERAGE else config.groups


def _find_weight_stall(program: Program, config: Config) -> str | None:
    """More weights than the FIFO holds are only legal where the accumulator group after them takes them."""
    held = 0
    for index, i in enumerate(program):
        if isinstance(i, LoadWeights):
            if held and held + i.words > config.weight_words:
                return f"instruction {index} finds {held} words in the weight FIFO: {i}"
            held += i.words
        if isinstance(i, Convolve):
            held -= i.blocks * i.taps_y * i.taps_x * i.repeats * config.size
            if i.last and held > config.weight_words:
                return f"instruction {index} leaves {held} words in the weight FIFO: {i}"
    return None
