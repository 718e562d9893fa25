"""Random instructions in sequence, also with stalls on every port: words equal the emulator's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from arrayloom.isa import arithmetic
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Units
from arrayloom.isa.instructions import Drain, Elementwise, Pool, PoolKind

TINY = PRESETS["tiny"]
CONFIGS = {lanes: replace(TINY, name=f"{lanes} lanes", lanes=lanes) for lanes in (1, 2, 4)}
SOURCES = 2048      # words that instructions read and do not write
UNREACHABLE = (1 << 63) - 1


class Draw:
    """Draws jobs with values at rounding boundaries, at the clamps and beyond them."""

    def __init__(self, config: Config, job: Callable, seed: int) -> None:
        self.config, self.job = config, job
        self.rng = np.random.default_rng(seed)
        self.activations = self.rng.integers(-128, 128, (config.activation_words, config.size)).astype(np.int8)
        self.activations[self.rng.random(self.activations.shape) < 0.1] = -128
        self.free = SOURCES

    def any(self) -> object:
        kinds = [self.drain, self.drain, self.elementwise, lambda: self.pool(PoolKind.MAXIMUM),
                 lambda: self.pool(PoolKind.SUM), lambda: self.pool(PoolKind.AVERAGE)]
        return kinds[self.rng.integers(len(kinds))]()

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def drain(self) -> object:
        fields = self._common() | self._residual()
        words, scales = self._scales()
        target = self.rng.integers(-160, 160, (fields["height"] * fields["width"], self.config.size)) + self.rng.choice(
            [0.0, 0.5], self.config.size)
        bias = self.rng.integers(-5000, 5000, scales.shape)
        near = np.rint(target / scales) + self.rng.integers(-1, 2, target.shape)
        anything = self.rng.integers(-(1 << 31), 1 << 31, target.shape)
        wanted = np.clip(np.where(self.rng.random(target.shape) < 0.9, near, anything), -(1 << 31), (1 << 31) - 1)
        sums = ((wanted.astype(np.int64) - bias + (1 << 31)) % (1 << 32) - (1 << 31)).astype(np.int32)
        return self.job(Drain(**fields, zero_point=self.between(-256, 255)), sums=sums,
                        parameters=self._entries(bias, words), table=self._table(fields))

    def elementwise(self) -> object:
        fields = self._common() | self._residual()
        source, pitch = self._source(fields["height"], fields["width"])
        return self.job(Elementwise(**fields, source=source, source_pitch=pitch), table=self._table(fields))

    def pool(self, kind: PoolKind) -> object:
        fields = self._common(small=True) | {"kind": kind}
        height, width = self.between(2, 9), self.between(2, 9)
        fields["source"], fields["row_pitch"] = self._source(height, width)
        fields |= {"source_height": height, "source_width": width}
        for axis in "yx":
            fields |= {f"origin_{axis}": self.between(-3, 3), f"stride_{axis}": self.between(1, 3),
                       f"dilation_{axis}": self.between(1, 2), f"taps_{axis}": self.between(1, 4)}
        parameters = None
        if kind == PoolKind.SUM:
            fields["zero_point"] = self.between(-256, 255)
            words, scales = self._scales(low=-8, high=1)
            parameters = self._entries(np.rint(self.between(-100, 100) / scales), words)
        elif kind == PoolKind.AVERAGE:
            fields |= {"multiplier": self.between(1 << 23, (1 << 24) - 1), "source_zero": self.between(-128, 127)}
            parameters = self._thresholds(fields["multiplier"])
        return self.job(Pool(**fields), parameters=parameters, table=self._table(fields))

    def _common(self, small: bool = False) -> dict[str, int]:
        height, width = self.between(1, 3 if small else 7), self.between(1, 4 if small else 8)
        pitch = width + self.between(0, 3)
        low, high = np.sort(self.rng.integers(-128, 128, 2)) if self.rng.random() < 0.3 else (-128, 127)
        table = self.between(0, 3) == 0
        fields = {"destination": self.free, "destination_pitch": pitch, "height": height, "width": width,
                  "low": int(low), "high": int(high), "lookup_table": int(table), "release_lookup_table": int(table),
                  "release_parameters": 1}
        self.free += height * pitch
        return fields

    def _residual(self) -> dict[str, int]:
        if self.rng.random() < 0.4:
            return {}
        sa, sb, sc = np.exp2(self.rng.uniform(-5, 0, 3) if self.rng.random() < 0.5 else self.rng.integers(-4, 0, 3))
        unsigned = self.rng.random() < 0.5
        za, zb, zc = self.rng.integers(0, 256, 3) - (0 if unsigned else 128)
        ra, rb = np.float32(sa) / np.float32(sc), np.float32(sb) / np.float32(sc)
        ratio_a, ratio_b, offset = arithmetic.encode_add(ra, rb, np.float32(zc - ra * za - rb * zb))
        shift = 128 if unsigned else 0
        low, high = np.sort(self.rng.integers(-128, 128, 2)) if self.rng.random() < 0.3 else (-128, 127)
        residual, pitch = self._source(7, 8)
        fields = {"add": 1, "swap": self.between(0, 1), "residual": residual, "residual_pitch": pitch, "ratio_a": ratio_a,
                  "ratio_b": ratio_b, "add_offset": offset, "a_offset": shift, "b_offset": shift, "sum_offset": -shift,
                  "add_low": int(low), "add_high": int(high)}
        return fields | (self._product(shift) if self.rng.random() < 0.4 else {})

    def _product(self, shift: int) -> dict[str, int]:
        ratio_a, ratio_b = arithmetic.encode_product(np.exp2(self.rng.choice([self.rng.uniform(-16, 0), -8])))
        a, b, made = self.rng.integers(-128, 128, 3)
        return {"multiply": 1, "ratio_a": ratio_a, "ratio_b": ratio_b, "add_offset": 0, "a_offset": int(-a),
                "b_offset": int(-b), "product_zero": int(made) + shift}

    def _source(self, height: int, width: int) -> tuple[int, int]:
        pitch = width + self.between(0, 3)
        return self.between(0, SOURCES - 1 - height * pitch), pitch

    def _scales(self, low: float = -30, high: float = 8) -> tuple[np.ndarray, np.ndarray]:
        """Scale words and their values, one per channel; a third are powers of two, a third slightly above one."""
        size = self.config.size
        powers = np.exp2(self.rng.integers(low, high, size))
        values = np.choose(self.rng.integers(0, 3, size), [
            np.exp2(self.rng.uniform(low, high, size)), powers, powers * (1 + 2.0**-23)]).astype(np.float32)
        return np.array([arithmetic.encode_scale(value).word for value in values]), values.astype(np.float64)

    def _entries(self, bias: np.ndarray, words: np.ndarray) -> np.ndarray:
        both = np.stack([bias.astype(np.int64), words.astype(np.int64)]) & 0xFFFFFFFF
        return both.astype(np.uint32).reshape(2, self.config.groups, self.config.lanes).transpose(1, 0, 2)

    def _thresholds(self, multiplier: int) -> np.ndarray:
        """Multiples of the scale, which totals hit exactly, and others."""
        values = self.rng.integers(-2000, 2000, 256) * multiplier + self.rng.choice([0, 0, 1, 12345], 256)
        values = np.sort(values)
        values[250:] = UNREACHABLE
        halves = np.stack([values & 0xFFFFFFFF, values >> 32 & 0xFFFFFFFF], 1).astype(np.uint32)
        return np.repeat(halves[:, :, None], self.config.lanes, 2)

    def _table(self, fields: dict[str, int]) -> np.ndarray | None:
        if not fields["lookup_table"]:
            return None
        return self.rng.integers(-128, 128, (256, self.config.size)).astype(np.int8)


@pytest.mark.parametrize("lanes", CONFIGS)
@pytest.mark.parametrize("obstruct", [0.0, 0.4])
def test_mixed_program(check, job, lanes: int, obstruct: float) -> None:
    draw = Draw(CONFIGS[lanes], job, seed=10 * lanes + int(obstruct > 0))
    run = check(draw.config, [draw.any() for _ in range(24)], draw.activations, obstruct, seed=lanes)
    assert not run.data_left


@pytest.mark.parametrize("lanes", CONFIGS)
@pytest.mark.parametrize("kind", [*PoolKind, "drain", "elementwise"])
def test_one_kind_back_to_back(check, job, lanes: int, kind) -> None:
    draw = Draw(CONFIGS[lanes], job, seed=100 + lanes)
    make = {"drain": draw.drain, "elementwise": draw.elementwise}.get(kind) or (lambda: draw.pool(kind))
    check(draw.config, [make() for _ in range(6)], draw.activations, 0.15, seed=lanes)


def test_instructions_that_depend_on_each_other(check, job) -> None:
    draw = Draw(TINY, job, seed=7)
    jobs, region = [], None
    for _ in range(12):
        made = draw.elementwise()
        instruction = made.instruction
        if region is not None:
            source, pitch, height, width = region
            instruction = replace(instruction, source=source, source_pitch=pitch, height=height, width=width,
                                  destination_pitch=width, wait=Units.POST)
            draw.free += height * width
        region = (instruction.destination, instruction.destination_pitch, instruction.height, instruction.width)
        jobs.append(replace(made, instruction=instruction))
    check(draw.config, jobs, draw.activations, 0.3)


def test_parameters_and_tables_stay_until_released(check, job) -> None:
    draw = Draw(TINY, job, seed=8)
    first = draw.drain()
    table = draw.rng.integers(-128, 128, (256, TINY.size)).astype(np.int8)
    keep = replace(first.instruction, lookup_table=1, release_lookup_table=0, release_parameters=0)
    drop = replace(keep, destination=draw.free + 100, release_lookup_table=1, release_parameters=1)
    jobs = [job(keep, sums=first.sums, parameters=first.parameters, table=table), job(drop, sums=first.sums)]
    assert not check(TINY, jobs, draw.activations).data_left
    assert check(TINY, jobs[:1], draw.activations).data_left
