"""The POST instructions: Drain, Elementwise and Pool."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa import arithmetic
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import (
    ADD_FRACTION,
    BYTE_VALUES,
    PRODUCT_OFFSETS,
    SIGNIFICANT,
    THRESHOLDS,
    Drain,
    DrainAttention,
    DrainDepthwise,
    Elementwise,
    Pool,
    PoolKind,
    PostInstruction,
    ResidualInstruction,
)
from arrayloom.isa.program import Stage
from arrayloom.sim.emulator.machine import EmulatorError, Machine, Sums
from arrayloom.sim.emulator.window import window

Result = NDArray[np.int8]


@dataclass
class Poster:
    """Executes POST instructions; ``results``: each stage's int8[height, width, size] of the last instruction;
    ``addresses``: the written words, in order."""

    machine: Machine
    results: dict[Stage, Result] = field(default_factory=dict)
    addresses: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _sums: dict[tuple[int, ...], NDArray[np.int8]] = field(default_factory=dict)

    def drain(self, i: Drain) -> None:
        check_constants(i)
        full = self._full(i)
        if not full:
            raise EmulatorError("no full accumulator bank to drain")
        bank = full.popleft()
        if len(bank) != i.height * i.width:
            raise EmulatorError(f"{i.height} x {i.width} pixels drained from a bank of {len(bank)}")
        entries = self._parameters(i, self.machine.config.groups)
        own = requantize(bank, entries, i)
        self._finish(i, own.reshape(i.height, i.width, -1))

    def _full(self, i: Drain) -> deque[Sums]:
        if isinstance(i, DrainAttention):
            return self.machine.attention_full
        return self.machine.depthwise_full if isinstance(i, DrainDepthwise) else self.machine.full

    def elementwise(self, i: Elementwise) -> None:
        check_constants(i)
        source = self.machine.activations[self._region(i.source, i.source_pitch, i)]
        self._finish(i, np.clip(source, np.int8(i.low), np.int8(i.high)))

    def pool(self, i: Pool) -> None:
        check_constants(i)
        kinds: dict[int, Callable[[Pool], Result]] = {
            PoolKind.MAXIMUM: self._maximum, PoolKind.SUM: self._sum, PoolKind.AVERAGE: self._average}
        if i.kind not in kinds:
            raise EmulatorError(f"pool kind {i.kind}: unknown")
        self._finish(i, kinds[i.kind](i))

    def _taps(self, i: Pool, outside: int) -> NDArray[np.int8]:
        """int8[taps, height, width, size] in raster order of the window."""
        addresses, inside = window(i)
        if (last := int(addresses.max())) >= self.machine.config.activation_words:
            raise EmulatorError(f"word {last} lies outside the scratchpad")
        words = self.machine.activations[addresses]
        words[~inside] = outside
        return words.reshape(-1, i.height, i.width, self.machine.config.size)

    def _maximum(self, i: Pool) -> Result:
        return np.clip(self._taps(i, -128).max(0), np.int8(i.low), np.int8(i.high))

    def _sum(self, i: Pool) -> Result:
        total = self._taps(i, 0).sum(0, dtype=np.int32)
        entries = self._parameters(i, self.machine.config.groups)
        return requantize(total, entries, i)

    def _average(self, i: Pool) -> Result:
        thresholds = thresholds_of(self._parameters(i, THRESHOLDS))
        words, inside = self._taps(i, 0).astype(np.int64), window(i).inside.reshape(-1, i.height, i.width)
        total = np.zeros(words.shape[1:], np.int64)
        for tap, valid in zip(words, inside, strict=True):
            term = arithmetic.average_terms(tap, i.source_zero, i.multiplier)
            total = arithmetic.average_step(total, np.where(valid[..., None], term, 0))
        return np.clip(arithmetic.average_result(total, thresholds), i.low, i.high).astype(np.int8)

    def _parameters(self, i: PostInstruction, count: int) -> NDArray[np.uint32]:
        """uint32[count, 2, lanes] from the head of the parameter FIFO."""
        fifo = self.machine.parameters
        if len(fifo) < count:
            raise EmulatorError(f"{count} parameter entries needed, {len(fifo)} are there")
        entries = np.stack([fifo[k] for k in range(count)])
        if i.release_parameters:
            for _ in range(count):
                fifo.popleft()
        return entries

    def _finish(self, i: PostInstruction, own: Result) -> None:
        results = {Stage.OWN: own}
        if isinstance(i, ResidualInstruction) and i.add:
            results[Stage.SUM] = self._add(i, own)
        result = results.get(Stage.SUM, own)
        if i.lookup_table:
            result = results[Stage.LOOKUP_TABLE] = self._look_up(result)
        if i.release_lookup_table:
            if not self.machine.tables:
                raise EmulatorError("no table to release")
            self.machine.tables.popleft()
        destination = self._region(i.destination, i.destination_pitch, i)
        self.machine.activations[destination] = result
        self.results, self.addresses = results, destination.ravel()

    def _add(self, i: ResidualInstruction, own: Result) -> Result:
        residual = self.machine.activations[self._region(i.residual, i.residual_pitch, i)]
        a, b = (residual, own) if i.swap else (own, residual)
        index = (a.view(np.uint8).astype(np.uint16) << 8) | b.view(np.uint8)
        key = sum_key(i)
        if key not in self._sums:
            self._sums[key] = sum_table(i)
        return self._sums[key][index]

    def _look_up(self, result: Result) -> Result:
        if not self.machine.tables:
            raise EmulatorError("no table in the table FIFO")
        rows = result.astype(np.int16) + 128
        return np.take_along_axis(self.machine.tables[0], rows.reshape(-1, rows.shape[-1]), 0).reshape(rows.shape)

    def _region(self, first: int, pitch: int, i: PostInstruction) -> NDArray[np.int64]:
        return region(first, pitch, i, self.machine.config)


def region(first: int, pitch: int, i: PostInstruction, config: Config) -> NDArray[np.int64]:
    """int64[height, width]: the words of a region; raises ``EmulatorError`` unless there are any, all in the scratchpad."""
    addresses = first + (np.arange(i.height) * pitch)[:, None] + np.arange(i.width)
    if addresses.size == 0 or addresses[-1, -1] >= config.activation_words:
        raise EmulatorError(f"a region of {i.height} x {i.width} words from {first} leaves the scratchpad")
    return addresses


def sum_key(i: ResidualInstruction) -> tuple[int, ...]:
    """The fields on which ``sum_table`` depends."""
    return (i.multiply, i.product_zero, i.ratio_a, i.ratio_b, i.add_offset, i.a_offset, i.b_offset, i.sum_offset, i.add_low,
            i.add_high)


def sum_table(i: ResidualInstruction) -> NDArray[np.int8]:
    """int8[65536]: the sum for every pair of bytes, since a layer has far more pixels than that."""
    signed = np.arange(BYTE_VALUES, dtype=np.uint8).view(np.int8).astype(np.int64)
    a, b = np.repeat(signed, BYTE_VALUES) + i.a_offset, np.tile(signed, BYTE_VALUES) + i.b_offset
    if i.multiply:
        a, b = np.full_like(a, i.product_zero), a * b
    total = arithmetic.residual_add(a, b, i.ratio_a, i.ratio_b, i.add_offset)
    return np.clip(total + i.sum_offset, i.add_low, i.add_high).astype(np.int8)


def check_constants(i: PostInstruction) -> None:
    """Raises ``EmulatorError`` for constants without a defined result."""
    if i.low > i.high:
        raise EmulatorError(f"low = {i.low}: must not be above high = {i.high}")
    if not isinstance(i, ResidualInstruction) or not i.add:
        return
    if i.add_low > i.add_high:
        raise EmulatorError(f"add_low = {i.add_low}: must not be above add_high = {i.add_high}")
    least, largest = PRODUCT_OFFSETS
    for name in ("a_offset", "b_offset") if i.multiply else ():
        if not least <= getattr(i, name) <= largest:
            raise EmulatorError(f"{name} = {getattr(i, name)}: of a product must be from {least} to {largest}")
    if i.multiply and (i.ratio_b >> ADD_FRACTION or i.add_offset):
        raise EmulatorError(f"ratio_b = {i.ratio_b} and add_offset = {i.add_offset}: of a product must be less than "
                            f"2**{ADD_FRACTION} and 0")


def requantize(sums: NDArray[np.int32], entries: NDArray[np.uint32], i: PostInstruction) -> Result:
    """int32[..., size] sums with uint32[groups, 2, lanes] parameters to bytes."""
    bias, scale = bias_and_scale(entries)
    rounded = arithmetic.requantize_float(sums + bias, scale)
    return np.clip(rounded + i.zero_point, i.low, i.high).astype(np.int8)


def thresholds_of(entries: NDArray[np.uint32]) -> NDArray[np.int64]:
    """int64[256] of the uint32[256, 2, lanes] parameters of an average, which are the same in every lane."""
    halves = entries[:, :, 0].astype(np.int64)
    return (halves[:, 0] | halves[:, 1] << 32).view(np.int64)


def bias_and_scale(entries: NDArray[np.uint32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """int32[size] and float32[size] of the uint32[groups, 2, lanes] parameters of a requantization."""
    scale = entries[:, 1].reshape(-1)
    multiplier, shift = scale & ((1 << SIGNIFICANT) - 1), scale >> SIGNIFICANT
    value = np.ldexp(multiplier.astype(np.float64), -shift.astype(np.int64)).astype(np.float32)
    return entries[:, 0].reshape(-1).view(np.int32), value
