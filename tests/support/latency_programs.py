"""Programs of a few instructions, each exposing certain latencies of the hardware and hiding the others."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayloom.isa.config import Config
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, Units, encode_all
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
    Store,
)
from arrayloom.isa.program import Program

CODE = 1 << 15
MEMORY_BYTES = 1 << 18
DESTINATION = 4096      # in words; reads and writes use separate areas
RESIDUAL = 2048

Instructions = list[Instruction]


def program_of(config: Config, instructions: Instructions) -> Program:
    """A program of these instructions and End, without a network."""
    code = encode_all([*instructions, End()], CODE // INSTRUCTION_BYTES)
    return Program(config, "latencies", code, np.zeros(0, np.uint8), CODE, 0, MEMORY_BYTES, [], [], None, [], [], {}, {}, 0)


@dataclass(frozen=True)
class Maker:
    """Makes instructions for one configuration; every field, such as ``wait``, can be given."""

    config: Config

    def load(self, words: int, rows: int = 1, **fields: Any) -> Instruction:
        return LoadActivations(words=words, rows=rows, **{"memory_pitch": words + 2, "chip_pitch": words} | fields)

    def store(self, words: int, rows: int = 1, **fields: Any) -> Instruction:
        return Store(words=words, rows=rows, **{"memory_pitch": words + 2, "chip_pitch": words} | fields)

    def weights(self, tiles: int) -> Instruction:
        return LoadWeights(words=tiles * self.config.size)

    def parameters(self, entries: int = 0, **fields: Any) -> Instruction:
        """Entries for one drain, or ``entries`` of them."""
        return LoadParameters(entries=entries or self.config.groups, **fields)

    def convolve(self, height: int, width: int, **fields: Any) -> Instruction:
        shape = {"source_height": height, "source_width": width, "row_pitch": width, "height": height, "width": width}
        return Convolve(**shape | {"first": 1, "last": 1} | fields)

    def depthwise(self, height: int, width: int, **fields: Any) -> Instruction:
        shape = {"source_height": height, "source_width": width, "row_pitch": width, "height": height, "width": width}
        kernel = {"taps_y": 3, "taps_x": 3, "origin_y": -1, "origin_x": -1, "weights": RESIDUAL}
        return Depthwise(**shape | kernel | fields)

    def drain_depthwise(self, height: int, width: int, **fields: Any) -> Instruction:
        return DrainDepthwise(**self._region(height, width) | {"release_parameters": 1} | fields)

    def drain(self, height: int, width: int, **fields: Any) -> Instruction:
        return Drain(**self._region(height, width) | {"release_parameters": 1} | fields)

    def elementwise(self, height: int, width: int, **fields: Any) -> Instruction:
        return Elementwise(**self._region(height, width) | {"source_pitch": width} | fields)

    def add(self, width: int) -> Instruction:
        return self.elementwise(1, width, add=1, residual=RESIDUAL, residual_pitch=width)

    def pool(self, kind: PoolKind, height: int, width: int, taps: int, **fields: Any) -> Instruction:
        """Adjacent windows of ``taps`` by ``taps``."""
        source = {"row_pitch": width * taps, "source_height": height * taps, "source_width": width * taps}
        window = {"stride_y": taps, "stride_x": taps, "taps_y": taps, "taps_x": taps}
        return Pool(kind=kind, **self._region(height, width) | source | window | fields)

    def average(self, height: int, width: int, taps: int, **fields: Any) -> Instruction:
        return self.pool(PoolKind.AVERAGE, height, width, taps, **{"release_parameters": 1} | fields)

    def sum(self, height: int, width: int, taps: int, **fields: Any) -> Instruction:
        return self.pool(PoolKind.SUM, height, width, taps, **{"release_parameters": 1} | fields)

    @staticmethod
    def _region(height: int, width: int) -> dict[str, int]:
        return {"destination": DESTINATION, "destination_pitch": width, "height": height, "width": width}


def latency_programs(config: Config) -> dict[str, Instructions]:
    """All of them, by name."""
    maker = Maker(config)
    return _fetch(maker) | _transfers(maker) | _array(maker) | _words(maker) | _pools(maker) | _constants(maker)


def depthwise_programs(config: Config) -> dict[str, Instructions]:
    """The programs of the DEPTHWISE unit, by name."""
    m = Maker(config)
    piece = [m.parameters(), m.depthwise(4, 4), m.drain_depthwise(4, 4)]
    pairs = [m.depthwise(1, 1), m.parameters(), m.drain_depthwise(1, 1)]
    held = m.load(900, signal=Units.DEPTHWISE)
    late = m.load(900, signal=Units.POST)
    return {
        "a depthwise region": piece,
        "depthwise pixels": pairs * 12,
        "depthwise regions after a token": [m.parameters(8 * config.groups), held, m.depthwise(4, 4, wait=Units.LOAD),
                                             *[m.depthwise(4, 4)] * 7, *[m.drain_depthwise(4, 4)] * 8],
        "depthwise sums after a token": [m.parameters(8 * config.groups), late, *[m.depthwise(2, 2)] * 8,
                                          m.drain_depthwise(2, 2, wait=Units.LOAD), *[m.drain_depthwise(2, 2)] * 7],
        "depthwise strides": [m.parameters(), m.depthwise(3, 5, stride_y=2, stride_x=2), m.drain_depthwise(3, 5)],
        "depthwise kernels": [m.parameters(), m.depthwise(3, 5, taps_y=7, taps_x=7, origin_x=-3), m.drain_depthwise(3, 5)],
        "dilated depthwise": [m.parameters(), m.depthwise(3, 5, dilation_x=2, repeats=2), m.drain_depthwise(3, 5)],
        "depthwise without a border": [m.parameters(), m.depthwise(3, 5, source_width=9), m.drain_depthwise(3, 5)],
        "a full depthwise queue": [m.parameters(13 * config.groups), held, m.depthwise(1, 1, wait=Units.LOAD),
                                   *[m.depthwise(1, 1)] * 12, *[m.drain_depthwise(1, 1)] * 13, m.load(900)],
        "a full queue of large ones": [m.parameters(15 * config.groups), held, m.depthwise(8, 8, wait=Units.LOAD),
                                       *[m.depthwise(8, 8)] * 13, m.weights(300), m.convolve(4, 4, taps_y=10, taps_x=30),
                                       *[m.drain_depthwise(8, 8)] * 14, m.drain(4, 4)],
        "both kinds of sums": [m.weights(6), *[one for _ in range(6) for one in (
            m.parameters(2 * config.groups), m.convolve(4, 4), m.depthwise(4, 4), m.drain(4, 4), m.drain_depthwise(4, 4))]],
    }


def _fetch(m: Maker) -> dict[str, Instructions]:
    held = m.load(800, signal=Units.STORE)
    return {
        "nothing": [],
        "loads of one word": [m.load(1)] * 20,
        "stores after a token": [held, m.store(1, wait=Units.LOAD), *[m.store(1)] * 29],
        "a full queue": [m.store(300), *[m.store(20)] * 20, m.load(300)],
        "elementwise after a token": [m.load(600, signal=Units.POST), m.elementwise(1, 1, wait=Units.LOAD),
                                       *[m.elementwise(1, 1)] * 11],
        "stores one by one": [m.store(1, wait=Units.STORE)] * 6,
    }


def _transfers(m: Maker) -> dict[str, Instructions]:
    one_word = m.elementwise(20, 1, source=1, source_pitch=1, destination_pitch=0)
    return {
        "a long load": [m.load(600)],
        "a load in rows": [m.load(40, 3, memory_pitch=1000)] * 3,
        "a load across pages": [m.load(300, 2, address=4096 - 2 * m.config.size, memory_pitch=1021)],
        "bursts cut by pages": [m.load(2, 40, address=4096 - m.config.size, memory_pitch=4096 // m.config.size)],
        "short loads": [m.load(1, 100)],
        "short loads and FETCH": [m.load(1, 600, chip_pitch=0), *[one_word] * 30],
        "loads of every kind": [m.load(200), m.parameters(), m.weights(20), m.load(3), m.parameters(), m.load(200),
                                m.convolve(1, 1, taps_y=2, taps_x=10), m.drain(1, 1), m.convolve(1, 1), m.weights(1),
                                m.drain(1, 1)],
        "a long store": [m.store(600)],
        "short stores": [m.store(1, 100)],
        "stores of three words": [m.store(3, 100)],
        "two stores after a token": [m.load(800, signal=Units.STORE), m.store(1, 6, wait=Units.LOAD), m.store(1)],
        "copy": [m.load(40, 3, signal=Units.STORE), m.store(40, 3, wait=Units.LOAD)],
        "a burst while the memory is full": [m.load(800, signal=Units.STORE), m.store(2, 20, wait=Units.LOAD),
                                             *[m.store(1, 3)] * 14, m.load(600)],
    }


def _array(m: Maker) -> dict[str, Instructions]:
    layer = [m.parameters(), m.convolve(4, 4), m.drain(4, 4)]
    large = [m.parameters(), m.convolve(8, 8, repeats=2), m.drain(8, 8)]
    added = [m.parameters(), m.convolve(4, 4), m.drain(4, 4, add=1, residual=RESIDUAL, residual_pitch=4)]
    parts = [m.convolve(1, 1, first=part == 0, last=part == 13, origin_y=-1) for part in range(14)]     # reads nothing
    waiting = [m.convolve(2, 2, wait=Units.LOAD if one == 0 else 0) for one in range(10)]
    return {
        "a tile": [m.weights(1), *layer],
        "tiles of sixteen pixels": [m.weights(9), m.parameters(), m.convolve(4, 4, taps_y=3, taps_x=3), m.drain(4, 4)],
        "tiles of one pixel": [m.weights(40), m.parameters(), m.convolve(1, 1, taps_y=5, taps_x=8), m.drain(1, 1)],
        "layers": [m.weights(20), *layer * 20],
        "large layers": [m.weights(20), *large * 10],
        "layers after a token": [m.parameters(10 * m.config.groups), m.load(300, signal=Units.ARRAY), *waiting,
                                  *[m.drain(2, 2)] * 10, m.weights(10)],
        "a layer after a token": [m.parameters(), m.weights(1), m.load(900, signal=Units.ARRAY),
                                   m.convolve(4, 4, wait=Units.LOAD), m.drain(4, 4)],
        "a drain after a token": [m.parameters(), m.weights(1), m.load(900, signal=Units.POST), m.convolve(4, 4),
                                   m.drain(4, 4, wait=Units.LOAD)],
        "parts of a sum": [m.parameters(), m.load(900), m.weights(14), *parts, m.store(900), m.drain(1, 1)],
        "a full weight FIFO": [m.weights(300), m.convolve(4, 4, taps_y=10, taps_x=30), m.parameters(), m.drain(4, 4)],
        "a residual": [m.weights(1), *added],
        "residuals": [m.weights(10), *added * 10],
    }


def _words(m: Maker) -> dict[str, Instructions]:
    held = m.load(900, signal=Units.POST)
    first = m.elementwise(1, 200, wait=Units.LOAD)
    return {
        "elementwise": [m.elementwise(8, 50)],
        "elementwise one after the other": [m.elementwise(1, 200)] * 8,
        "an addition": [m.add(400)],
        "additions": [m.add(100)] * 6,
        "large maxima": [m.pool(PoolKind.MAXIMUM, 10, 10, 2)],
        "maxima one after the other": [m.pool(PoolKind.MAXIMUM, 10, 10, 3)] * 3,
        "a maximum gathered ahead": [held, first, m.pool(PoolKind.MAXIMUM, 1, 1, 9)],
    }


def _pools(m: Maker) -> dict[str, Instructions]:
    held, thresholds = m.load(900, signal=Units.POST), m.parameters(THRESHOLDS)
    before = [m.elementwise(1, 1)] * 6
    return {
        "a sum": [m.parameters(), *before, m.sum(1, 1, 20)],
        "sums": [one for _ in range(5) for one in (m.parameters(), m.sum(1, 6, 3))],
        "a sum after words": [m.parameters(), held, m.elementwise(1, 200, wait=Units.LOAD), m.sum(1, 1, 2),
                              m.elementwise(1, 500)],
        "an average": [thresholds, m.average(3, 4, 2)],
        "averages": [one for _ in range(3) for one in (thresholds, m.average(1, 2, 3))],
        "averages with the same thresholds": [thresholds, m.average(1, 2, 3, release_parameters=0),
                                              m.average(1, 2, 3, release_parameters=0), m.average(1, 2, 3)],
        "an average that waits": [thresholds, held, *before, m.average(1, 1, 2, wait=Units.LOAD), m.elementwise(1, 500)],
        "a maximum after an average": [thresholds, held, m.average(1, 1, 9, wait=Units.LOAD),
                                       m.pool(PoolKind.MAXIMUM, 1, 1, 9), m.pool(PoolKind.MAXIMUM, 1, 1, 20)],
    }


def _constants(m: Maker) -> dict[str, Instructions]:
    translated = m.elementwise(1, 8, lookup_table=1, release_lookup_table=1)
    waiting = m.elementwise(1, 8, lookup_table=1, release_lookup_table=1, wait=Units.LOAD)
    full = m.config.parameter_entries - THRESHOLDS - m.config.groups     # LOAD asks once more with no word in flight
    average, late = m.average(1, 1, 2), m.average(1, 1, 2, wait=Units.LOAD)
    last = m.parameters(wait=Units.LOAD, signal=Units.POST)
    return {
        "a table": [LoadLookupTable(), translated],
        "tables": [one for _ in range(6) for one in (LoadLookupTable(), translated)],
        "room for a table": [LoadLookupTable(), LoadLookupTable(wait=Units.LOAD, signal=Units.POST), LoadLookupTable(),
                             waiting, translated, translated],
        "the last room for a table": [LoadLookupTable(), LoadLookupTable(signal=Units.POST), LoadLookupTable(), waiting,
                                      translated, translated],
        "the last room for parameters": [m.parameters(THRESHOLDS), m.parameters(THRESHOLDS), m.parameters(THRESHOLDS),
                                         average, average, average],
        "room for parameters": [m.parameters(THRESHOLDS), m.parameters(full), last, m.parameters(THRESHOLDS), late, average,
                                average],
    }
