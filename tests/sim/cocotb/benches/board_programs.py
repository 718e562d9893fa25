"""Programs written by hand, without the compiler: small ones that use every instruction."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.arithmetic import encode_add, encode_scale
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Units, seal
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    THRESHOLDS,
    Convolve,
    Drain,
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

CONSTANTS = 1 << 15         # byte addresses from the base; the code is before them
RESULTS = 1 << 16
MEMORY_BYTES = 1 << 17


@dataclass
class Assembler:
    """Collects instructions and the constants that they load."""

    config: Config
    instructions: list[Instruction] = field(default_factory=list)
    constants: bytearray = field(default_factory=bytearray)

    def constant(self, array: NDArray[Any]) -> int:
        """Places an array and returns its byte address."""
        address = CONSTANTS + len(self.constants)
        self.constants += np.ascontiguousarray(array).tobytes()
        self.constants += bytes(-len(self.constants) % self.config.size)
        return address

    def add(self, *instructions: Instruction) -> None:
        self.instructions += instructions

    def program(self) -> Program:
        return raw_program(self.config, b"".join(one.encode() for one in self.instructions), bytes(self.constants))


def raw_program(config: Config, code: bytes, constants: bytes = b"", sealed: bool = True) -> Program:
    """A program of arbitrary bytes; ``sealed``: every instruction gets a valid checksum."""
    instructions = np.frombuffer(code, np.uint8).copy()
    if sealed:
        seal(instructions)
    return Program(
        configuration=config, model="by hand", instructions=instructions,
        constants=np.frombuffer(constants, np.uint8), code_address=0, constants_address=CONSTANTS,
        memory_bytes=MEMORY_BYTES, inputs=[], outputs=[], features=None, layers=[], probes={}, layouts={}, dtypes={},
        macs=0, write_base=RESULTS)


def load_words(address: int, destination: int, words: int, **more: int) -> LoadActivations:
    """One run of words to the chip."""
    return LoadActivations(address=address, destination=destination, words=words, rows=1, memory_pitch=0, chip_pitch=0,
                           **more)


def store_words(address: int, source: int, words: int, **more: int) -> Store:
    """One run of words to memory."""
    return Store(address=address, source=source, words=words, rows=1, memory_pitch=0, chip_pitch=0, **more)


def small_program(config: Config, seed: int) -> Program:
    """A few words through every unit."""
    code, rng = Assembler(config), np.random.default_rng(seed)
    pixels = 6
    region = {"height": 1, "width": pixels}
    code.add(
        load_words(code.constant(rng.integers(-128, 128, (pixels, config.size), np.int8)), 0, pixels, signal=Units.ARRAY),
        LoadWeights(address=code.constant(rng.integers(-128, 128, (config.size, config.size), np.int8)),
                    words=config.size),
        LoadParameters(address=code.constant(random_scales(config, rng, 0.01)), entries=config.groups),
        Convolve(**region, source_height=1, source_width=pixels, first=1, last=1, wait=Units.LOAD),
        Drain(**region, destination=pixels, release_parameters=1, signal=Units.STORE),
        store_words(RESULTS, pixels, pixels, wait=Units.POST),
        End())
    return code.program()


def random_scales(config: Config, rng: np.random.Generator, scale: float) -> NDArray[np.uint32]:
    """uint32[groups, 2, lanes]: random biases, and scales around ``scale``, of one channel block."""
    shape = (config.groups, config.lanes)
    bias = rng.integers(-2000, 2000, shape, np.int32).view(np.uint32)
    words = [encode_scale(float(value)).word for value in scale * rng.uniform(0.3, 1.5, shape).ravel()]
    return np.stack([bias, np.array(words, np.uint32).reshape(shape)], 1)


class Mixed:
    """A program of ``rounds`` rounds over random data in which every unit waits for every other one.

    A round loads an image of two channel blocks, convolves it into two others, applies adds, lookup tables and all kinds of
    pooling to those, and stores the results.
    """

    IMAGE, FEATURES, SUM, MAXIMUM, TOTAL, AVERAGE = 0, 512, 1024, 1536, 1664, 1792  # words on chip

    def __init__(self, config: Config, seed: int, rounds: int) -> None:
        self.config, self.rounds = config, rounds
        self.rng = np.random.default_rng(seed)
        self.height, self.width = (int(value) for value in self.rng.integers(3, 8, 2))
        self.plane = self.height * self.width
        self.code = Assembler(config)
        self.result = RESULTS
        for number in range(rounds):
            self._load(number)
            self._convolve(number)
            self._drain(number)
            self._vector()
            self._pool()
            self._store(number)
        self.code.add(End())
        self.program = self.code.program()

    def _bytes(self, *shape: int) -> NDArray[np.int8]:
        return self.rng.integers(-128, 128, shape, np.int8)

    def _load(self, number: int) -> None:
        config, code = self.config, self.code
        image = code.constant(self._bytes(2 * self.plane, config.size))
        code.add(load_words(image, self.IMAGE, 2 * self.plane, wait=Units.ARRAY | Units.POST if number else 0,
                            signal=Units.ARRAY | Units.POST))
        tiles = code.constant(self._bytes(2 * 2 * 9 * config.size, config.size))
        code.add(LoadWeights(address=tiles, words=2 * 2 * 9 * config.size))
        entries = [*(random_scales(config, self.rng, scale) for scale in (0.003, 0.003, 0.1)), self._thresholds()]
        for group in entries:
            code.add(LoadParameters(address=code.constant(group), entries=len(group)))
        for _ in range(2):
            code.add(LoadLookupTable(address=code.constant(self._bytes(LOOKUP_TABLE_WORDS, config.size))))

    def _thresholds(self) -> NDArray[np.uint32]:
        """uint32[256, 2, lanes]: 64-bit thresholds, the same in every lane."""
        values = np.sort(self.rng.integers(-1 << 34, 1 << 34, THRESHOLDS)).view(np.uint64)
        halves = np.stack([values & np.uint64(0xFFFF_FFFF), values >> np.uint64(32)], 1).astype(np.uint32)
        return np.repeat(halves[:, :, None], self.config.lanes, 2)

    def _convolve(self, number: int) -> None:
        """Two output blocks; the first sums its input blocks in two instructions, the second in one."""
        more = Units.LOAD if number < self.rounds - 1 else 0
        region = {
            "row_pitch": self.width, "plane_pitch": self.plane, "source_height": self.height,
            "source_width": self.width, "origin_y": -1, "origin_x": -1, "height": self.height, "width": self.width,
            "taps_y": 3, "taps_x": 3, "padding": int(self.rng.integers(-128, 128)),
        }
        self.code.add(
            Convolve(source=self.IMAGE, **region, first=1, wait=Units.LOAD),
            Convolve(source=self.IMAGE + self.plane, **region, last=1),
            Convolve(source=self.IMAGE, **region, blocks=2, first=1, last=1, signal=more))

    def _region(self, destination: int) -> dict[str, int]:
        return {"destination": destination, "destination_pitch": self.width, "height": self.height, "width": self.width}

    def _addition(self, residual: int) -> dict[str, int]:
        ratio_a, ratio_b, offset = encode_add(*(float(value) for value in self.rng.uniform(0.2, 0.9, 3)))
        return {"add": 1, "residual": residual, "residual_pitch": self.width, "ratio_a": ratio_a, "ratio_b": ratio_b,
                "add_offset": offset, "swap": int(self.rng.integers(2))}

    def _drain(self, number: int) -> None:
        """The second drain waits for its residual from LOAD, and until STORE has read the words that it overwrites."""
        more = Units.LOAD if number < self.rounds - 1 else 0
        zero = int(self.rng.integers(-30, 30))
        self.code.add(
            Drain(**self._region(self.FEATURES), zero_point=zero, low=zero, release_parameters=1,
                  wait=Units.STORE if number else 0),
            Drain(**self._region(self.FEATURES + self.plane), **self._addition(self.IMAGE + self.plane),
                  lookup_table=1, release_lookup_table=1, release_parameters=1, wait=Units.LOAD, signal=more))

    def _vector(self) -> None:
        self.code.add(Elementwise(**self._region(self.SUM), **self._addition(self.FEATURES + self.plane), lookup_table=1,
                             release_lookup_table=1, source=self.FEATURES, source_pitch=self.width, wait=Units.POST))

    def _pool(self) -> None:
        source = {"row_pitch": self.width, "source_height": self.height, "source_width": self.width}
        half = {"height": -(-self.height // 2), "width": -(-self.width // 2), "destination_pitch": self.width}
        self.code.add(
            Pool(kind=PoolKind.MAXIMUM, source=self.SUM, **source, destination=self.MAXIMUM, **half, stride_y=2,
                 stride_x=2, taps_y=3, taps_x=3, origin_y=-1, origin_x=-1, low=-100, wait=Units.POST),
            Pool(kind=PoolKind.SUM, source=self.FEATURES, **source, destination=self.TOTAL, destination_pitch=1,
                 height=1, width=1, taps_y=self.height, taps_x=self.width, zero_point=7, release_parameters=1),
            Pool(kind=PoolKind.AVERAGE, source=self.FEATURES + self.plane, **source, **self._region(self.AVERAGE),
                 taps_y=3, taps_x=3, origin_y=-1, origin_x=-1, multiplier=int(self.rng.integers(1 << 23, 1 << 24)),
                 source_zero=int(self.rng.integers(-128, 128)), release_parameters=1, signal=Units.STORE))

    def _store(self, number: int) -> None:
        """The pooled maximum fills only part of its rows, and only that part is stored."""
        size = self.config.size
        regions = [(self.FEATURES, 2 * self.plane, 1), (self.SUM, self.plane, 1), (self.TOTAL, 1, 1),
                   (self.AVERAGE, self.plane, 1), (self.MAXIMUM, -(-self.width // 2), -(-self.height // 2))]
        for index, (source, words, rows) in enumerate(regions):
            last = index == len(regions) - 1 and number < self.rounds - 1
            self.code.add(Store(address=self.result, source=source, words=words, rows=rows, memory_pitch=words,
                                chip_pitch=self.width, wait=0 if index else Units.POST,
                                signal=Units.POST if last else 0))
            self.result += words * rows * size
