"""Configurations are validated field by field."""

from dataclasses import asdict, replace

import pytest

from isa.config import PRESETS, Config, load_config
from isa.errors import ConfigError


@pytest.mark.parametrize(("field", "value", "message"), [
    ("size", 12, "size = 12: must be a power of two from 4 to 128"),
    ("lanes", 2, "lanes = 2: must be a power of two from 4 to 16"),
    ("column_stage", 3, "column_stage = 3: must divide size = 16"),
    ("row_stage", 0, "row_stage = 0: must divide size = 16"),
    ("accumulator_depth", 100, "accumulator_depth = 100: must be a power of two"),
    ("activation_bytes", 1000, "activation_bytes = 1000: must be a power of two"),
    ("weight_words", 16, "weight_words = 16: must be a power of two from 32"),
    ("queue_depth", 1.5, "queue_depth = 1.5: must be a whole number"),
])
def test_bad_field_is_named(field: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PRESETS["16x16"], **{field: value})


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="'8x9': unknown; the presets are tiny, 16x16, 32x32, 64x64"):
        load_config("8x9")


def test_digest_changes_with_every_field() -> None:
    base = PRESETS["32x32"]
    changes = {"name": "other", "size": 64, "lanes": 32, "column_stage": 8, "row_stage": 1, "accumulator_depth": 512,
               "activation_bytes": 1 << 20, "weight_words": 4096, "parameter_entries": 1024, "table_pages": 4,
               "queue_depth": 16, "activation_banks": 8}
    assert set(changes) == set(asdict(base))
    digests = {replace(base, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {base.digest}) == len(changes) + 1


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_derived_values(config: Config) -> None:
    assert config.groups * config.lanes == config.size
    assert config.parameter_beats * config.size == 8 * config.lanes
    assert config.activation_words * config.size == config.activation_bytes
