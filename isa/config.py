"""Configurations of the accelerator: what a user chooses, what follows from it, and the named presets."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields

from isa.errors import ConfigError


def _option(default: int | None, doc: str) -> int:
    """A documented integer field; without a default it must be given."""
    if default is None:
        return field(metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Config:
    """Everything that distinguishes one accelerator from another.

    A *word* is ``size`` bytes: one beat of the memory bus, one pixel of ``size`` channels, one row of weights.

    Raises ``ConfigError``, naming the field, its value and what is allowed, when no accelerator can be built.
    """

    name: str = field(metadata={"doc": "name under which programs and builds are known"})
    size: int = _option(None, "rows and columns of the systolic array, and bytes in a word: a power of two, 4 to 128")
    lanes: int = _option(None, "post-processing lanes: a power of two, from size/4 to size")
    column_stage: int = _option(None, "columns that an activation crosses between registers: divides size")
    row_stage: int = _option(None, "rows whose products are summed between partial-sum registers: divides size")
    accumulator_depth: int = _option(None, "pixels in each of the two accumulator halves: a power of two")
    activation_bytes: int = _option(None, "on-chip activation memory: a power of two")
    weight_words: int = _option(None, "depth of the weight FIFO: a power of two, at least two tiles (2 size)")
    parameter_entries: int = _option(512, "depth of the parameter FIFO, in entries of one channel a lane: a power of two")
    table_pages: int = _option(2, "pages of 256 words in the table memory: a power of two, at least 2")
    queue_depth: int = _option(8, "instructions that each unit's queue holds: a power of two, at least 4")
    activation_banks: int = _option(4, "banks of the activation memory, each one read and one write a cycle: 2, 4 or 8")

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.type in (int, "int") and not isinstance(getattr(self, item.name), int):
                raise ConfigError(f"{item.name} = {getattr(self, item.name)!r}: must be a whole number")
        self._power("size", 4, 128)
        self._power("lanes", max(1, self.size // 4), self.size)
        self._divides_size("column_stage")
        self._divides_size("row_stage")
        self._power("accumulator_depth", 16, 4096)
        self._power("activation_bytes", 256 * self.size, self.size << 20)
        self._power("weight_words", 2 * self.size, 1 << 20)
        self._power("parameter_entries", 256, 1 << 16)
        self._power("table_pages", 2, 16)
        self._power("queue_depth", 4, 64)
        self._power("activation_banks", 2, 8)

    def _power(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if value & (value - 1) or not low <= value <= high:
            raise ConfigError(f"{name} = {value}: must be a power of two from {low} to {high}")

    def _divides_size(self, name: str) -> None:
        value = getattr(self, name)
        if value < 1 or self.size % value:
            raise ConfigError(f"{name} = {value}: must divide size = {self.size}")

    @property
    def activation_words(self) -> int:
        """Words in the activation memory."""
        return self.activation_bytes // self.size

    @property
    def groups(self) -> int:
        """Lane groups in a word: cycles in which the lanes take one word."""
        return self.size // self.lanes

    @property
    def word_bits(self) -> int:
        """Bits in a word, and width of the memory bus."""
        return 8 * self.size

    @property
    def parameter_beats(self) -> int:
        """Words of memory that one parameter entry (8 bytes a lane) takes."""
        return 8 * self.lanes // self.size

    @property
    def multipliers(self) -> int:
        """8 x 8-bit multipliers in the array."""
        return self.size * self.size

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any field; programs carry it."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _preset(name: str, size: int, lanes: int, depth: int, activation_kib: int, weight_words: int, **more: int) -> Config:
    return Config(name=name, size=size, lanes=lanes, column_stage=more.pop("column_stage", size),
                  row_stage=more.pop("row_stage", 4), accumulator_depth=depth,
                  activation_bytes=activation_kib << 10, weight_words=weight_words, **more)


PRESETS: dict[str, Config] = {
    config.name: config
    for config in (
        _preset("tiny", 4, 2, 64, 64, 256, column_stage=2, row_stage=2),
        _preset("16x16", 16, 4, 256, 2048, 2048),
        _preset("32x32", 32, 16, 256, 2048, 2048),
        _preset("64x64", 64, 64, 256, 2048, 4096),
    )
}

DEFAULT = "16x16"


def load_config(name: str) -> Config:
    """The preset of that name.

    Raises ``ConfigError`` that lists the presets when there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"configuration {name!r}: unknown; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
