"""Random programs of a few instruction words with fields around their legal limits, for small configurations.

Every run is short: instructions with too much work are drawn again. Reads and writes of one instruction do not overlap,
since their order is undefined. The resources that instructions need (weights, parameters, tables, a bank) are provided
unless a field prevents it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from random_attention import AttentionDraw
from random_fields import ANY_ODDS, FieldDraw, overlaps, work_of
from word_runs import DATA, MEMORY_BYTES

from arrayloom.isa.arithmetic import encode_scale
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS, UNIT_SLOTS, Instruction
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    PRODUCT_OFFSETS,
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

Fields = dict[str, int]
Post = TypeVar("Post", Drain, DrainDepthwise, Elementwise, Pool)


LARGEST_WORK = 3000     # limit of the words that an instruction reads or writes


@dataclass(frozen=True)
class Case:
    """``words``: the program; ``kind``: the mnemonic of the instruction under test."""

    kind: str
    words: list[int]


class WordDraw(FieldDraw):
    """Draws cases for ``config``; the same seed draws the same cases."""

    def __init__(self, config: Config, seed: int) -> None:
        super().__init__(config, seed)
        self.memory = self.rng.integers(0, 256, MEMORY_BYTES, np.uint8)
        self.scratchpad = self.rng.integers(-128, 128, (config.activation_words, config.size)).astype(np.int8)
        scales = np.array([encode_scale(2.0**-3).word] * config.lanes, np.uint32)
        entry = np.concatenate([np.arange(config.lanes, dtype=np.uint32), scales])
        parameters = np.tile(entry, THRESHOLDS).view(np.uint8)
        self.memory[DATA:DATA + parameters.size] = parameters
        steps = np.sort(self.rng.integers(-(1 << 35), 1 << 35, THRESHOLDS)).view(np.uint64)
        halves = np.stack([steps & 0xFFFFFFFF, steps >> 32], 1).astype(np.uint32)
        thresholds = np.repeat(halves[:, :, None], config.lanes, 2).ravel().view(np.uint8)
        self.thresholds = DATA + parameters.size
        self.memory[self.thresholds:self.thresholds + thresholds.size] = thresholds
        self.makers: list[Callable[[], tuple[Instruction, list[Instruction]]]] = [
            self.load_weights, self.load_parameters, self.load_lookup_table, self.load_activations, self.store,
            self.convolve, self.drain, self.elementwise, self.pool, self.pool, self.end]
        if config.depthwise_channels:
            self.makers += [self.depthwise, self.depthwise, self.drain_depthwise]
        if config.attention_lanes:
            self.makers += AttentionDraw(self).makers

    def case(self) -> Case:
        while True:
            subject, program = self.makers[self.rng.integers(len(self.makers))]()
            if work_of(subject, self.config) <= LARGEST_WORK and not overlaps(subject, self.config):
                break
        words = [self._word(one, one is subject) for one in program]
        end = [] if isinstance(subject, End) else [int.from_bytes(End().encode(), "little")]
        return Case(subject.mnemonic(), words + end)

    def _word(self, instruction: Instruction, changed: bool) -> int:
        word = int.from_bytes(instruction.encode(), "little")
        specs = instruction.specs()
        if changed and self.chance(ANY_ODDS):
            end = specs[-1].offset + specs[-1].width
            word |= 1 << self.between(end, FIELD_BITS - 1)
        if changed and self.chance(ANY_ODDS) and instruction.UNIT is not None:
            word |= 1 << specs[2].offset + instruction.UNIT
        if changed and self.chance(ANY_ODDS / 2):
            mask = specs[int(self.rng.integers(1, 3))]
            absent = [slot for slot in range(UNIT_SLOTS) if slot not in self.config.units]
            word |= 1 << mask.offset + absent[self.between(0, len(absent) - 1)]
        if changed and self.chance(ANY_ODDS / 2):
            opcode, known = specs[0], {cls.OPCODE for cls in self.config.instructions}
            unknown = [value for value in range(1 << opcode.width) if value not in known]
            word = word >> opcode.width << opcode.width | int(self.rng.choice(unknown))
        return word

    # Instructions of LOAD and STORE

    def load_weights(self) -> tuple[Instruction, list[Instruction]]:
        tiles, size = self.extent(40), self.config.size
        words = tiles * size + (self.between(1, size - 1) if self.chance(0.15) else 0)
        subject = LoadWeights(address=self.address(words), words=words)
        return subject, [subject, *(self._bank(1, blocks=tiles) if tiles else []), *self.drained(1, 1)]

    def load_parameters(self) -> tuple[Instruction, list[Instruction]]:
        groups = self.config.groups
        pools = self.extent(9)
        entries = pools * groups + (self.between(1, groups) if self.chance(0.1) else 0)
        address = DATA + (self.between(1, self.config.size - 1) if self.chance(0.1) else 0)
        subject = LoadParameters(address=address, entries=entries)
        sums = [Pool(kind=PoolKind.SUM, height=1, width=1, source_height=1, source_width=1, source=self.between(0, 99),
                     destination=200 + index, release_parameters=1) for index in range(pools)]
        return subject, [subject, *sums]

    def load_lookup_table(self) -> tuple[Instruction, list[Instruction]]:
        subject = LoadLookupTable(address=self.address(LOOKUP_TABLE_WORDS))
        return subject, [subject, Elementwise(height=1, width=9, destination=100, lookup_table=1, release_lookup_table=1)]

    def load_activations(self) -> tuple[Instruction, list[Instruction]]:
        subject = LoadActivations(**self._runs("destination"))
        return subject, [subject]

    def store(self) -> tuple[Instruction, list[Instruction]]:
        subject = Store(**self._runs("source"))
        return subject, [subject]

    def _runs(self, chip: str) -> Fields:
        words, rows = self.extent(40), self.extent(5)
        chip_pitch = words + self.between(0, 3) if self.chance(0.9) else self.between(0, 1 << 18)
        memory_pitch = words + self.between(0, 30)
        span = (rows - 1) * chip_pitch + words if rows else 0
        return {"address": self.address(rows * memory_pitch), chip: self.near(max(span, 1)), "words": words, "rows": rows,
                "chip_pitch": chip_pitch, "memory_pitch": memory_pitch}

    # ARRAY, and the instructions it needs

    def _bank(self, pixels: int, **fields: int) -> list[Instruction]:
        """A Convolve whose bank has the given number of pixels in a row."""
        return [Convolve(**{"height": 1, "width": pixels, "source_height": 1, "source_width": pixels, "row_pitch": pixels,
                            "first": 1, "last": 1} | fields)]

    def drained(self, height: int, width: int) -> list[Instruction]:
        drain = Drain(height=height, width=width, destination=9000, destination_pitch=width, release_parameters=1)
        return [LoadParameters(address=DATA, entries=self.config.groups), drain]

    def convolve_with(self, cls: type[Convolve], tiles: int) -> list[Instruction]:
        """An instruction of the class that takes as many tiles, for one pixel."""
        fields = {"height": 1, "width": 1, "source_height": 1, "source_width": 1, "row_pitch": 1, "first": 1, "last": 1}
        return [cls(**fields, blocks=tiles, source=self.between(0, 99), plane_pitch=self.between(0, 9),
                    padding=self.between(-128, 127))]

    def convolve(self, cls: type[Convolve] = Convolve) -> tuple[Instruction, list[Instruction]]:
        window = self._window(self.config.accumulator_depth)
        window |= {"blocks": self.extent(3, 0.03), "repeats": self.extent(3, 0.03), "padding": self.between(-128, 127)}
        planes = window["source_height"] * window["row_pitch"]
        window["plane_pitch"] = planes if self.chance(0.9) else self.between(0, (1 << 20) - 1)
        reach = (max(window["blocks"], 1) - 1) * window["plane_pitch"] + planes
        window["source"] = self.near(min(max(reach, 1), self.config.activation_words))
        subject = self.anything(cls(**window, first=1, last=1), "origin_y", "origin_x", "stride_y", "stride_x",
                                "dilation_y", "dilation_x", "plane_pitch", "row_pitch", "source_height", "source_width")
        height, width, pixels = subject.height, subject.width, subject.height * subject.width
        before: list[Instruction] = []
        if self.chance(0.3):
            begun = pixels if self.chance(0.7) else max(1, pixels + self.pick(-1, 1))
            before = self._bank(min(max(begun, 1), self.config.accumulator_depth), last=self.pick(0, 0, 0, 0, 1))
            subject = subject.changed(first=self.pick(0, 0, 0, 0, 1))
        elif self.chance(0.1):
            subject = subject.changed(**{self.pick_name("first", "last"): 0})
        tiles = subject.tiles + len(before)
        weights = [LoadWeights(address=0, words=tiles * self.config.size)] if tiles else []
        if max(height, width) > self.config.accumulator_depth:
            height, width = 1, 1
        return subject, [*weights, *before, subject, *self.drained(max(height, 1), max(width, 1))]

    # DEPTHWISE

    def depthwise(self) -> tuple[Instruction, list[Instruction]]:
        window = self._window(self.config.accumulator_depth)
        window |= {"taps_x": self.extent(7, 0.03), "taps_y": self.extent(7, 0.03), "repeats": self.extent(3, 0.03),
                   "padding": self.between(-128, 127), "stride_x": self.pick(0, 1, 1, 1, 2, 2, 3),
                   "dilation_x": self.pick(0, 1, 1, 1, 1, 2)}
        planes = window["source_height"] * window["row_pitch"]
        window["source"] = self.near(min(max(planes, 1), self.config.activation_words))
        window["weights"] = self.near(max(window["repeats"] * window["taps_y"] * window["taps_x"], 1))
        subject = self.anything(Depthwise(**window), "origin_y", "origin_x", "stride_y", "stride_x", "dilation_y",
                                "dilation_x", "row_pitch", "source_height", "source_width")
        height, width = subject.height, subject.width
        if max(height, width) > self.config.accumulator_depth:
            height, width = 1, 1
        drain = DrainDepthwise(height=max(height, 1), width=max(width, 1), destination=9000, destination_pitch=width,
                               release_parameters=1)
        return subject, [subject, LoadParameters(address=DATA, entries=self.config.groups), drain]

    def drain_depthwise(self) -> tuple[Instruction, list[Instruction]]:
        fields = self._post() | self._residual()
        filled = fields["height"] * fields["width"]
        filled = min(max(filled if self.chance(0.8) else filled + self.pick(-1, 1, 8), 1), self.config.accumulator_depth)
        subject = self._placed(DrainDepthwise(**fields, zero_point=self.between(-256, 255), release_parameters=1))
        fills = Depthwise(height=1, width=filled, source_height=1, source_width=filled, row_pitch=filled)
        return subject, [*self._tables(fields), fills, LoadParameters(address=DATA, entries=self.config.groups), subject]

    # POST

    def drain_of(self, cls: type[Drain]) -> tuple[Drain, int, list[Instruction]]:
        """An instruction of the class, its pixels, and the loads of the tables that it reads."""
        fields = self._post() | self._residual()
        subject = self._placed(cls(**fields, zero_point=self.between(-256, 255), release_parameters=1))
        return subject, subject.height * subject.width, self._tables(fields)

    def drain(self) -> tuple[Instruction, list[Instruction]]:
        fields = self._post() | self._residual()
        pixels = fields["height"] * fields["width"]
        filled = pixels if self.chance(0.8) else pixels + self.pick(-1, 1, 8)
        filled = min(max(filled, 1), self.config.accumulator_depth)
        subject = self._placed(Drain(**fields, zero_point=self.between(-256, 255), release_parameters=1))
        return subject, [LoadWeights(address=0, words=self.config.size), *self._tables(fields), *self._bank(filled),
                         LoadParameters(address=DATA, entries=self.config.groups), subject]

    def elementwise(self) -> tuple[Instruction, list[Instruction]]:
        fields = self._post() | self._residual()
        pitch = self.pitch(fields["width"])
        span = max(fields["height"] - 1, 0) * pitch + fields["width"]
        subject = self._placed(Elementwise(**fields, source=self.near(max(span, 1)), source_pitch=pitch))
        return subject, [*self._tables(fields), subject]

    def pool(self) -> tuple[Instruction, list[Instruction]]:
        fields = self._post() | self._window(60)
        span = fields["source_height"] * fields["row_pitch"]
        fields["source"] = self.near(max(1, min(span, self.config.activation_words)))
        fields["kind"] = self.pick(0, 0, 1, 1, 2, 3) if self.chance(0.3) else self.pick(*PoolKind)
        fields |= {"multiplier": self.pick((1 << 24) - 1, 1 << 23, self.between(0, (1 << 24) - 1)),
                   "source_zero": self.pick(-128, 127, self.between(-128, 127)), "release_parameters": 1,
                   "zero_point": self.between(-256, 255)}
        subject = self._placed(self.anything(
            Pool(**fields), "origin_y", "origin_x", "stride_y", "stride_x", "dilation_y", "dilation_x", "row_pitch",
            "source_height", "source_width", "taps_y", "taps_x"))
        parameters: dict[int, list[Instruction]] = {
            PoolKind.SUM: [LoadParameters(address=DATA, entries=self.config.groups)],
            PoolKind.AVERAGE: [LoadParameters(address=self.thresholds, entries=THRESHOLDS)]}
        return subject, [*self._tables(fields), *parameters.get(subject.kind, []), subject]

    def end(self) -> tuple[Instruction, list[Instruction]]:
        subject = End()
        return subject, [subject]

    def _window(self, pixels: int) -> Fields:
        height = self.extent(8)
        fields = {"height": height, "width": self.extent(max(1, pixels // max(height, 1) + 1))}
        fields |= {"source_height": self.between(0, 9), "source_width": self.between(0, 9)}
        fields["row_pitch"] = self.pitch(fields["source_width"])
        for axis in "yx":
            fields |= {f"origin_{axis}": self.between(-3, 3), f"stride_{axis}": self.between(0, 3),
                       f"dilation_{axis}": self.between(0, 3), f"taps_{axis}": self.extent(4, 0.03)}
        return fields

    def _post(self) -> Fields:
        height, width = self.extent(), self.extent(9)
        low, high = sorted(self.between(-128, 127) for _ in range(2)) if self.chance(0.3) else (-128, 127)
        if self.chance(0.05):
            low, high = high, low
        table = int(self.chance(0.15))
        return {"height": height, "width": width, "low": low, "high": high, "lookup_table": table,
                "release_lookup_table": table}

    def _placed(self, subject: Post) -> Post:
        """The instruction with a destination."""
        pitch = self.pitch(subject.width)
        start = self.near(max(max(subject.height - 1, 0) * pitch + subject.width, 1))
        return subject.changed(destination=start, destination_pitch=pitch)

    def _tables(self, fields: Fields) -> list[Instruction]:
        return [LoadLookupTable(address=0)] if fields["lookup_table"] else []

    def _residual(self) -> Fields:
        if self.chance(0.4):
            return {}
        low, high = sorted(self.between(-128, 127) for _ in range(2)) if self.chance(0.3) else (-128, 127)
        if self.chance(0.05):
            low, high = high, low
        multiply = int(self.chance(0.5))
        least, largest = (PRODUCT_OFFSETS if multiply else (-256, 255))
        spread = 1 if multiply and self.chance(0.1) else 0

        def offset() -> int:
            return self.pick(least - spread, largest + spread, self.between(least, largest))

        ratio = (1 << 38) if multiply and not self.chance(0.1) else 1 << 44
        return {"add": self.pick(0, 1, 1, 1), "swap": self.between(0, 1), "residual": self.near(60),
                "residual_pitch": self.pitch(9), "ratio_a": self.pick((1 << 44) - 1, self.between(0, 1 << 40)),
                "ratio_b": self.pick(ratio - 1, self.between(0, ratio - 1) >> self.between(0, 16)),
                "add_offset": 0 if multiply and not self.chance(0.1) else self.pick(
                    -(1 << 53), (1 << 53) - 1, self.between(-(1 << 44), 1 << 44)),
                "a_offset": offset(), "b_offset": offset(), "multiply": multiply, "product_zero": self.between(-256, 255),
                "sum_offset": self.between(-256, 255), "add_low": low, "add_high": high}
