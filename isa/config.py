"""Configurations of the accelerator: fields that a user chooses, derived values, presets, and users' files."""

import hashlib
import json
import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from arrayloom.isa.errors import ConfigError
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.instructions import INSTRUCTIONS, LOOKUP_TABLE_WORDS, OF_ATTENTION, OF_DEPTHWISE, THRESHOLDS
from arrayloom.isa.records import mapping, record

ACCUMULATOR_BANKS = 2   # one is filled while the other is drained
SUM_BYTES = 4           # of one accumulator
PARAMETER_BYTES = 8     # bytes per lane of a parameter entry: bias and scale
WIDEST_STRIDE = 2       # largest horizontal stride for which DEPTHWISE takes kernel columns together; beyond, one at a time
LATER = {"depthwise_channels": 0, "depthwise_columns": 3, "attention_lanes": 0}     # not in the first file format


def _option(default: int | None, doc: str) -> int:
    """A documented integer field; required if it has no default."""
    if default is None:
        return field(metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Config:
    """Everything that distinguishes one accelerator from another.

    A *word* is ``size`` bytes: one beat of the memory bus, one pixel of ``size`` channels, one row of weights.

    Raises ``ConfigError``, naming the field, its value and the allowed values, if no accelerator can be built.
    """

    name: str = field(metadata={"doc": "name under which programs and builds are known"})
    size: int = _option(None, "rows and columns of the systolic array, and bytes in a word: a power of two, 4 to 128")
    lanes: int = _option(None, "post-processing lanes: a power of two, from size/4 to size")
    column_stage: int = _option(None, "columns that an activation crosses between registers: divides size")
    row_stage: int = _option(None, "rows whose products are summed between partial-sum registers: divides size")
    accumulator_depth: int = _option(None, f"pixels in each of the {ACCUMULATOR_BANKS} accumulator banks: a power of two")
    activation_bytes: int = _option(None, "on-chip scratchpad: a power of two")
    weight_words: int = _option(None, "depth of the weight FIFO: a power of two, at least two tiles (2 size)")
    parameter_entries: int = _option(512, "depth of the parameter FIFO, in entries of one channel a lane: a power of two")
    table_pages: int = _option(2, f"pages of {LOOKUP_TABLE_WORDS} words in the lookup table FIFO: a power of two from 2")
    queue_depth: int = _option(8, "instructions that each unit's queue holds: a power of two, at least 4")
    activation_banks: int = _option(4, "banks of the scratchpad, each one read and one write a cycle: 2, 4 or 8")
    depthwise_channels: int = _option(0, "channels that the DEPTHWISE unit takes in a cycle: size, or 0 for no such unit")
    depthwise_columns: int = _option(LATER["depthwise_columns"], "columns of a kernel that it multiplies with in a cycle: "
                                                                 "3 or 5")
    attention_lanes: int = _option(0, "lanes of the ATTENTION unit: a power of two, from size/4 to size, or 0 for none")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type in (int, "int") and (not isinstance(value, int) or isinstance(value, bool)):
                raise ConfigError(f"{item.name} = {value!r}: must be a whole number")
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name = {self.name!r}: must be a text that is not empty")
        self._power("size", 4, 128)
        self._power("lanes", max(1, self.size // 4), self.size)
        self._divides_size("column_stage")
        self._divides_size("row_stage")
        self._power("accumulator_depth", 16, 4096)
        self._power("activation_bytes", 256 * self.size, self.size << 20)
        self._power("weight_words", 2 * self.size, 1 << 20)
        self._power("parameter_entries", THRESHOLDS, 1 << 16)
        self._power("table_pages", 2, 16)
        self._power("queue_depth", 4, 64)
        self._power("activation_banks", 2, 8)
        if self.depthwise_channels not in (0, self.size):
            raise ConfigError(f"depthwise_channels = {self.depthwise_channels}: must be size = {self.size}, or 0")
        if self.depthwise_columns not in ((3, 5) if self.depthwise_channels else (LATER["depthwise_columns"],)):
            allowed = "3 or 5" if self.depthwise_channels else "3 where there is no DEPTHWISE unit; give depthwise_channels"
            raise ConfigError(f"depthwise_columns = {self.depthwise_columns}: must be {allowed}")
        if self.attention_lanes:
            self._power("attention_lanes", max(1, self.size // 4), self.size)
        if self.attention_lanes and self.depthwise_channels:
            raise ConfigError(f"attention_lanes = {self.attention_lanes}: must be 0 with depthwise_channels = "
                              f"{self.depthwise_channels}; there is one of the two units")

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
        """Words in the scratchpad."""
        return self.activation_bytes // self.size

    @property
    def groups(self) -> int:
        """Lane groups in a word: cycles in which the lanes process one word."""
        return self.size // self.lanes

    @property
    def word_bits(self) -> int:
        """Bits in a word, and width of the memory bus."""
        return 8 * self.size

    @property
    def parameter_beats(self) -> int:
        """Memory words of one parameter entry."""
        return PARAMETER_BYTES * self.lanes // self.size

    @property
    def multipliers(self) -> int:
        """8 x 8-bit multipliers in the array."""
        return self.size * self.size

    @property
    def depthwise_multipliers(self) -> int:
        """8 x 8-bit multipliers in the DEPTHWISE unit."""
        return self.depthwise_columns * self.depthwise_channels

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units that execute instructions."""
        options = {Unit.DEPTHWISE: self.depthwise_channels, Unit.ATTENTION: self.attention_lanes}
        return (*CORE_UNITS, *(unit for unit, chosen in options.items() if chosen))

    @property
    def has_sums(self) -> bool:
        """Whether a unit other than the array fills banks of sums."""
        return self.depthwise_channels + self.attention_lanes > 0

    @property
    def unit_slots(self) -> int:
        """Places for units by number; those of absent units are empty."""
        return max(self.units) + 1

    @property
    def operand_bits(self) -> int:
        """Bits of the array's operands: activations less a zero point have one more than a byte."""
        return 9 if self.attention_lanes else 8

    @cached_property
    def instructions(self) -> tuple[type[Instruction], ...]:
        """The instructions of the accelerator."""
        missing = (() if self.depthwise_channels else OF_DEPTHWISE) + (() if self.attention_lanes else OF_ATTENTION)
        return tuple(cls for cls in INSTRUCTIONS if cls not in missing)

    @property
    def digest(self) -> str:
        """A hash of all fields, sixteen hexadecimal digits; programs contain it."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def digest_word(self) -> int:
        """The first eight digits of the digest, as in the register CONFIG."""
        return int(self.digest[:8], 16)

    def to_json(self) -> dict[str, Any]:
        """The fields; unused options are omitted, so that files and digests from before they existed stay valid."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """The inverse of ``to_json``; raises ``EncodingError``, which names the wrong field."""
        return record(cls, LATER | dict(mapping(value, where)), where)


def _preset(name: str, size: int, lanes: int, depth: int, activation_kib: int, weight_words: int, **more: int) -> Config:
    return Config(name=name, size=size, lanes=lanes, column_stage=more.pop("column_stage", size),
                  row_stage=more.pop("row_stage", 4), accumulator_depth=depth,
                  activation_bytes=activation_kib << 10, weight_words=weight_words, **more)


PRESETS: dict[str, Config] = {
    config.name: config
    for config in (
        _preset("tiny", 4, 2, 64, 64, 256, column_stage=2, row_stage=2),
        _preset("edge", 8, 2, 256, 128, 512, column_stage=4, row_stage=2),
        _preset("16x16", 16, 4, 256, 2048, 2048),
        _preset("32x32", 32, 16, 256, 2048, 2048),
        _preset("64x64", 64, 64, 256, 2048, 4096),
        _preset("zynq7020", 8, 4, 256, 256, 1024, column_stage=4),      # sized for the device, mainly its block RAM
        _preset("artix200t", 16, 4, 256, 1024, 2048),
        _preset("16x16-mobile", 16, 8, 256, 2048, 2048, depthwise_channels=16),
        _preset("32x32-mobile", 32, 32, 256, 2048, 2048, depthwise_channels=32, depthwise_columns=5, activation_banks=8,
                table_pages=4),
        _preset("tiny-vit", 4, 2, 128, 128, 256, column_stage=2, row_stage=2, attention_lanes=2),
        _preset("16x16-vit", 16, 4, 256, 2048, 2048, attention_lanes=8),
        _preset("32x32-vit", 32, 16, 256, 2048, 2048, attention_lanes=32),
        _preset("edge-vit", 8, 2, 256, 128, 512, column_stage=4, row_stage=2, attention_lanes=2),   # fits an ECP5-85F
    )
}

DEFAULT = "16x16"


def load_config(name_or_path: str | Config) -> Config:
    """The preset of that name, or the configuration in a ``.toml`` file; a ``Config`` is returned unchanged.

    The file contains fields of ``Config``; missing ones come from the preset named by ``base``,
    else from the fields' defaults. The default ``name`` is the file's.

    Raises ``ConfigError``, which lists the presets for an unknown name, or names the file and the fault.
    """
    if isinstance(name_or_path, Config):
        return name_or_path
    if name_or_path.endswith(".toml"):
        return _from_file(Path(name_or_path))
    if name_or_path not in PRESETS:
        raise ConfigError(f"configuration {name_or_path!r}: unknown; the presets are {', '.join(PRESETS)}, and a file of "
                          "your own ends in .toml")
    return PRESETS[name_or_path]


def _from_file(path: Path) -> Config:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}; write lines such as: size = 16") from None
    try:
        return _from_values({"name": path.stem} | values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _from_values(values: dict[str, Any]) -> Config:
    base = values.pop("base", None)
    if base is not None and (not isinstance(base, str) or base not in PRESETS):
        raise ConfigError(f"base = {base!r}: must be a preset: {', '.join(PRESETS)}")
    known = [item.name for item in fields(Config)]
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{name} = {value!r}: unknown field; known are base, {', '.join(known)}")
    if values["name"] in PRESETS:
        raise ConfigError(f"name = {values['name']!r}: is a preset's; give another name")
    chosen = (asdict(PRESETS[base]) if base is not None else {}) | values
    missing = [item.name for item in fields(Config) if item.default is MISSING and item.name not in chosen]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: missing; give a value, or base = {DEFAULT!r} to start from a preset")
    return Config(**chosen)
