"""A program of many small POST instructions with values at rounding boundaries, at the clamps and beyond them."""

import numpy as np
from board_programs import RESULTS, Assembler, load_words, store_words
from numpy.typing import NDArray
from rounding_edges import KINDS, products_at_windows, total_at_window

from arrayloom.isa.arithmetic import encode_add, encode_product, encode_scale
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Units
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    SIGNIFICANT,
    THRESHOLDS,
    Convolve,
    Drain,
    Elementwise,
    End,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Pool,
    PoolKind,
)
from arrayloom.isa.program import Program

SOURCES, FIRST_RESULT = 256, 512    # words on chip: sources begin at 0
INSTRUCTIONS = 40
AVERAGES = 3        # the thresholds fill the parameter memory

Fields = dict[str, int]


class Arithmetic:
    """Draws ``program``; the same seed draws the same program."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.rng, self.code = config, np.random.default_rng(seed), Assembler(config)
        self.free, self.averages = FIRST_RESULT, 0
        self.activations = self.rng.integers(-128, 128, (SOURCES, config.size), np.int8)
        self.activations[self.rng.random(self.activations.shape) < 0.1] = -128
        self.code.add(load_words(self.code.constant(self.activations), 0, SOURCES, signal=Units.ARRAY | Units.POST))
        self.tables = [self.code.constant(self.rng.integers(-128, 128, (LOOKUP_TABLE_WORDS, config.size), np.int8))
                       for _ in range(2)]
        kinds = [self._drain, self._drain, self._elementwise, self._pool]
        for number in range(INSTRUCTIONS):
            kinds[number % len(kinds)](Units.LOAD if number < 1 else 0)
        self._elementwise(0, signal=Units.STORE)
        words = self.free - FIRST_RESULT
        self.code.add(store_words(RESULTS, FIRST_RESULT, words, wait=Units.POST), End())
        self.program: Program = self.code.program()

    def _between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _chance(self, odds: float) -> bool:
        return bool(self.rng.random() < odds)

    def _region(self) -> Fields:
        """A separate destination, clamps, and sometimes a lookup table."""
        height, width = self._between(1, 3), self._between(1, 5)
        low, high = sorted(self._between(-128, 127) for _ in range(2)) if self._chance(0.3) else (-128, 127)
        fields = {"destination": self.free, "destination_pitch": width + 1, "height": height, "width": width, "low": low,
                  "high": high}
        self.free += height * (width + 1)
        if self._chance(0.25):
            self.code.add(LoadLookupTable(address=self.tables[self._between(0, 1)]))
            fields |= {"lookup_table": 1, "release_lookup_table": 1}
        return fields

    def _scales(self, low: float, high: float) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """Scale words and values, one per channel: arbitrary, powers of two, and slightly more than powers of two."""
        size = self.config.size
        powers = np.exp2(self.rng.integers(low, high, size))
        values = np.choose(self.rng.integers(0, 3, size), [np.exp2(self.rng.uniform(low, high, size)), powers,
                                                           powers * (1 + 2.0**-23)]).astype(np.float32)
        return np.array([encode_scale(float(value)).word for value in values], np.uint32), values.astype(np.float64)

    def _parameters(self, bias: NDArray[np.float64], words: NDArray[np.uint32]) -> None:
        config = self.config
        limits = np.clip(np.nan_to_num(bias), -(1 << 31), (1 << 31) - 1).astype(np.int64)
        both = np.stack([(limits & 0xFFFFFFFF).astype(np.uint32).reshape(config.groups, config.lanes),
                         words.reshape(config.groups, config.lanes)], 1)
        self.code.add(LoadParameters(address=self.code.constant(both), entries=config.groups))

    def _drain(self, wait: int) -> None:
        """Sums whose results are a byte or halfway between two, or one more or less; every fourth is arbitrary."""
        config, fields = self.config, self._region() | self._residual()
        words, scales = self._scales(-30, 8)
        weights = self.rng.integers(-128, 128, (config.size, config.size), np.int8)
        if self._chance(0.4):
            weights[:] = 0
            bias, words = self._at_windows()
        elif not self._chance(0.25):
            weights[:] = 0
            target = self.rng.integers(-160, 160, config.size) + self.rng.choice([0.0, 0.5], config.size)
            bias = np.rint(target / scales) + self.rng.integers(-1, 2, config.size)
        else:
            bias = self.rng.integers(-(1 << 31), 1 << 31, config.size).astype(np.float64)
        pixels = fields["height"] * fields["width"]
        self.code.add(LoadWeights(address=self.code.constant(weights), words=config.size))
        self._parameters(bias, words)
        self.code.add(Convolve(source=self._between(0, SOURCES - pixels), row_pitch=pixels, source_height=1,
                               source_width=pixels, height=1, width=pixels, first=1, last=1, wait=wait),
                      Drain(**fields, zero_point=self._between(-256, 255), release_parameters=1, wait=wait))

    def _at_windows(self) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
        """Sums and scale words for products at which the bits lost by the shifts decide the rounding."""
        rng, size = self.rng, self.config.size
        sums, multipliers, shifts = products_at_windows(rng, str(rng.choice(KINDS)), size)
        place = np.arange(size) % len(sums)
        signs = rng.choice([-1, 1], size)
        return (signs * sums[place]).astype(np.float64), (multipliers | shifts << SIGNIFICANT)[place].astype(np.uint32)

    def _elementwise(self, wait: int, signal: int = 0) -> None:
        fields = self._region() | self._residual()
        pitch = fields["width"] + self._between(0, 3)
        self.code.add(Elementwise(**fields, source=self._between(0, SOURCES - 3 * pitch), source_pitch=pitch, wait=wait,
                                  signal=signal))

    def _residual(self) -> Fields:
        if self._chance(0.2):
            return {}
        scales = np.exp2(self.rng.uniform(-5, 0, 3) if self._chance(0.5) else self.rng.integers(-4, 0, 3)).astype(np.float32)
        shift = 128 if self._chance(0.5) else 0
        zeros = self.rng.integers(0, 256, 3) - (128 - shift)
        ratios = scales[:2] / scales[2]
        ratio_a, ratio_b, offset = encode_add(*map(float, ratios), float(np.float32(
            zeros[2] - ratios[0] * zeros[0] - ratios[1] * zeros[1])))
        low, high = sorted(self._between(-128, 127) for _ in range(2)) if self._chance(0.3) else (-128, 127)
        fields = {"add": 1, "swap": self._between(0, 1), "residual": self._between(0, SOURCES - 30), "residual_pitch": 8,
                  "ratio_a": ratio_a, "ratio_b": ratio_b, "add_offset": offset, "a_offset": shift, "b_offset": shift,
                  "sum_offset": -shift, "add_low": low, "add_high": high}
        if self._chance(0.5):
            fields |= self._sum_at_window(fields["residual"])
        elif self._chance(0.4):
            ratio_a, ratio_b = encode_product(float(np.exp2(self.rng.choice([self.rng.uniform(-16, 0), -8]))))
            a, b, made = (int(value) for value in self.rng.integers(-127, 128, 3))
            fields |= {"multiply": 1, "ratio_a": ratio_a, "ratio_b": ratio_b, "add_offset": 0, "a_offset": -a,
                       "b_offset": -b, "product_zero": made + shift}
        return fields

    def _sum_at_window(self, residual: int) -> Fields:
        """For one byte of the residual, one operand is 1, so its ratio is the total; or the offset is."""
        byte, total = int(self.activations[residual, self._between(0, self.config.size - 1)]), total_at_window(self.rng)
        kind = self._between(0, 2)
        fields = {"ratio_a": 0, "ratio_b": 0, "add_offset": 0, "a_offset": 1 - byte, "b_offset": 1 - byte, "sum_offset": 0,
                  "swap": int(kind == 0)}
        return fields | ({"ratio_a": total} if kind == 0 else {"ratio_b": total} if kind == 1 else {
            "add_offset": total * int(self.rng.choice([-1, 1])), "ratio_a": 1 << self._between(0, 38)})

    def _pool(self, wait: int) -> None:
        fields, kind = self._region(), PoolKind(self._between(0, 2))
        if kind is PoolKind.AVERAGE and self.averages == AVERAGES:
            kind = PoolKind.SUM
        height, width = self._between(1, 6), self._between(1, 6)
        fields |= {"kind": kind, "source": self._between(0, SOURCES - 60), "row_pitch": width + self._between(0, 2),
                   "source_height": height, "source_width": width, "wait": wait}
        for axis in "yx":
            fields |= {f"origin_{axis}": self._between(-2, 2), f"stride_{axis}": self._between(1, 2),
                       f"dilation_{axis}": self._between(1, 2), f"taps_{axis}": self._between(1, 3)}
        if kind is PoolKind.SUM:
            words, scales = self._scales(-8, 1)
            self._parameters(np.rint(self._between(-100, 100) / scales), words)
            fields |= {"zero_point": self._between(-256, 255), "release_parameters": 1}
        elif kind is PoolKind.AVERAGE:
            fields |= self._average()
        self.code.add(Pool(**fields))

    def _average(self) -> Fields:
        self.averages += 1
        multiplier = self._between(1 << 23, (1 << 24) - 1)
        values = np.sort(self.rng.integers(-600, 600, THRESHOLDS) * multiplier + self.rng.integers(-1, 2, THRESHOLDS))
        halves = np.stack([values & 0xFFFFFFFF, values >> 32 & 0xFFFFFFFF], 1).astype(np.uint32)
        entries = np.repeat(halves[:, :, None], self.config.lanes, 2)
        self.code.add(LoadParameters(address=self.code.constant(entries), entries=THRESHOLDS))
        return {"multiplier": multiplier, "source_zero": self._between(-128, 127), "release_parameters": 1}
