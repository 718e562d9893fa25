"""Converts a program's instructions to works: executes FIFOs, accumulator banks and tokens once, with addresses instead of
bytes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayloom.isa.config import ACCUMULATOR_BANKS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    THRESHOLDS,
    Convolve,
    Depthwise,
    Drain,
    DrainDepthwise,
    Elementwise,
    End,
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
from arrayloom.sim.emulator.machine import Machine
from arrayloom.sim.emulator.post import check_constants, region
from arrayloom.sim.emulator.window import window
from arrayloom.sim.plan.depthwise import Loaded
from arrayloom.sim.plan.feeds import Constants, Feeds, PlanError, Range
from arrayloom.sim.plan.space import Space
from arrayloom.sim.plan.works import NONE, Index, Work

MOST_TERMS = 1 << 27        # most words read by one work, far more than any legal instruction reads


@dataclass
class Bank:
    """An accumulator bank that is being filled or waits to be drained, with the operands of its sums."""

    instructions: list[int]
    sources: list[Index]
    weights: list[Range]
    pixels: int

    def reads_any(self, words: Index) -> bool:
        low, high = int(words.min()), int(words.max())
        return any(one.min() <= high and one.max() >= low and bool(np.isin(one, words).any()) for one in self.sources)


class Reader:
    """Makes the works of ``program``.

    Raises ``PlanError`` or ``EmulatorError`` for a program that violates the ISA, and ``PlanError`` for one whose
    weights, parameters or tables are computed at run time.
    """

    def __init__(self, program: Program, constants: Constants, space: Space) -> None:
        self.works: list[Work] = []
        self._program, self._config, self._space = program, program.configuration, space
        self._constants = constants
        self._feeds = Feeds(self._config)
        self._tokens = Machine(self._config, np.zeros(0, np.uint8))
        self._bank: Bank | None = None
        self._full: deque[Bank] = deque()
        self._depthwise_full: deque[Bank] = deque()
        self._loaded = Loaded(self._config.activation_words, self._config.size)
        self._gathered: dict[tuple[int, ...], Index] = {}
        self._actions: dict[type[Instruction], Callable[[int, Any], None]] = {
            LoadWeights: lambda _, i: self._feeds.load_weights(i),
            LoadParameters: lambda _, i: self._feeds.load_parameters(i),
            LoadLookupTable: lambda _, i: self._feeds.load_lookup_table(i),
            LoadActivations: self._load, Store: self._store, Convolve: self._convolve, Drain: self._drain,
            Depthwise: self._depthwise, DrainDepthwise: self._drain_depthwise, Elementwise: self._elementwise,
            Pool: self._pool}

    def read(self) -> list[Work]:
        for index, instruction in enumerate(self._program):
            if isinstance(instruction, End):
                break
            unit, action = instruction.UNIT, self._actions.get(type(instruction))
            if unit is None or action is None:
                raise PlanError(f"instruction {index} ({instruction.mnemonic()}) has no form in a plan")
            self._tokens.take_tokens(instruction, unit)
            action(index, instruction)
            self._tokens.give_tokens(instruction, unit)
        else:
            raise PlanError("the program has no end instruction")
        if self._tokens.left_over() or self._bank or self._full or self._depthwise_full or not self._feeds.empty:
            raise PlanError("the program leaves something over")
        return self.works

    def _add(self, work: Work) -> None:
        for bank in (*self._full, *self._depthwise_full, *([self._bank] if self._bank else [])):
            if bank.reads_any(work.destination):
                raise PlanError("words are written between an instruction that reads them and the drain of its sums")
        self.works.append(work)

    def _load(self, index: int, i: LoadActivations) -> None:
        on_chip = self._space.runs(i.destination, i)
        self._add(Work((index,), i, self._space.memory_runs(i, self._constants).reshape(-1, 1), on_chip))
        self._loaded.load(i, on_chip)

    def _store(self, index: int, i: Store) -> None:
        if i.address < self._program.write_base:
            raise PlanError(f"a store to {i.address:#x}")
        self._add(Work((index,), i, self._space.runs(i.source, i).reshape(-1, 1), self._space.memory_runs(i, None)))

    def _convolve(self, index: int, i: Convolve) -> None:
        pixels, terms = i.height * i.width, i.tiles
        if not 0 < pixels <= self._config.accumulator_depth or not 0 < terms * pixels <= MOST_TERMS:
            raise PlanError(f"{pixels} pixels and {terms} tiles")
        weights = self._feeds.take_weights(terms * self._config.size)
        if i.first:
            if self._bank is not None or len(self._full) >= ACCUMULATOR_BANKS:
                raise PlanError("an accumulator bank is begun while none is empty")
            self._bank = Bank([], [], [], pixels)
        bank = self._bank
        if bank is None or bank.pixels != pixels:
            raise PlanError("an accumulator bank is continued that was not begun with as many pixels")
        bank.instructions.append(index)
        bank.sources.append(self._sources(i))
        bank.weights.extend(weights)
        if i.last:
            self._full.append(bank)
            self._bank = None

    def _sources(self, i: Convolve) -> Index:
        """int32[pixels, tiles]: cached, since all output blocks of a region read the same words."""
        key = (i.source, i.row_pitch, i.plane_pitch, i.source_height, i.source_width, i.origin_y, i.origin_x, i.height,
               i.width, i.stride_y, i.stride_x, i.dilation_y, i.dilation_x, i.taps_y, i.taps_x, i.blocks, i.repeats,
               i.padding)
        if key not in self._gathered:
            planes = (np.arange(i.blocks) * i.plane_pitch)[:, None, None, None, None]
            words = self._windowed(i, i.padding, planes)
            flat = words.reshape(-1, i.height * i.width).T
            self._gathered[key] = np.repeat(flat, i.repeats, 1) if i.repeats > 1 else np.ascontiguousarray(flat)
        return self._gathered[key]

    def _depthwise(self, index: int, i: Depthwise) -> None:
        pixels, terms = i.height * i.width, i.repeats * i.taps_y * i.taps_x
        if not 0 < pixels <= self._config.accumulator_depth or not terms:
            raise PlanError(f"{pixels} pixels and {terms} weights")
        if len(self._depthwise_full) >= ACCUMULATOR_BANKS:
            raise PlanError("a bank of depthwise sums is begun while none is empty")
        words = np.ascontiguousarray(self._windowed(i, i.padding).reshape(-1, pixels).T)
        self._depthwise_full.append(Bank([index], [words], list(self._loaded.kernel(i, self._space)), pixels))

    def _windowed(self, i: Convolve | Depthwise | Pool, padding: int, planes: Any = 0) -> Index:
        """The words under the window, [..., taps_y, taps_x, height, width]; outside the source one of ``padding``."""
        if i.height * i.width * i.taps_y * i.taps_x > MOST_TERMS:
            raise PlanError(f"{i.height} x {i.width} pixels of {i.taps_y} x {i.taps_x} taps")
        addresses, inside = window(i)
        everywhere = addresses + planes
        if not inside.all():
            everywhere = np.where(inside, everywhere, 0)
        self._space.require_on_chip(everywhere)
        return np.where(inside, everywhere, self._space.filled(padding)).astype(np.int32)

    def _drain_depthwise(self, index: int, i: DrainDepthwise) -> None:
        self._drain(index, i, self._depthwise_full)

    def _drain(self, index: int, i: Drain, full: deque[Bank] | None = None) -> None:
        full = self._full if full is None else full
        if not full or full[0].pixels != i.height * i.width:
            raise PlanError("no full accumulator bank of as many pixels to drain")
        bank = full.popleft()
        sources = bank.sources[0] if len(bank.sources) == 1 else np.concatenate(bank.sources, 1)
        parameters = self._feeds.take_parameters(self._config.groups, i.release_parameters)
        self._post((*bank.instructions, index), i, sources, tuple(bank.weights), parameters)

    def _elementwise(self, index: int, i: Elementwise) -> None:
        self._post((index,), i, self._region(i.source, i.source_pitch, i).reshape(-1, 1))

    def _pool(self, index: int, i: Pool) -> None:
        outside = {PoolKind.MAXIMUM: -128, PoolKind.SUM: 0, PoolKind.AVERAGE: i.source_zero}
        count = {PoolKind.MAXIMUM: 0, PoolKind.SUM: self._config.groups, PoolKind.AVERAGE: THRESHOLDS}
        if i.kind not in outside:
            raise PlanError(f"pool kind {i.kind}")
        kind = PoolKind(i.kind)
        parameters = self._feeds.take_parameters(count[kind], i.release_parameters) if count[kind] else ()
        words = self._windowed(i, outside[kind]).reshape(-1, i.height * i.width)
        self._post((index,), i, np.ascontiguousarray(words.T), parameters=parameters)

    def _post(self, indices: tuple[int, ...], i: PostInstruction, sources: Index, weights: tuple[Range, ...] = (),
              parameters: tuple[int, ...] = ()) -> None:
        check_constants(i)
        table = self._feeds.take_table(i.lookup_table, i.release_lookup_table)
        residual = NONE
        if isinstance(i, ResidualInstruction) and i.add:
            residual = self._region(i.residual, i.residual_pitch, i)
        destination = self._region(i.destination, i.destination_pitch, i)
        self._add(Work(indices, i, sources, destination, residual, weights, parameters, table))
        self._loaded.compute(destination)

    def _region(self, first: int, pitch: int, i: PostInstruction) -> Index:
        return region(first, pitch, i, self._config).ravel().astype(np.int32)
