"""Configurations are validated field by field."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from arrayloom.isa.config import PRESETS, Config, load_config
from arrayloom.isa.errors import ConfigError


@pytest.mark.parametrize(("field", "value", "message"), [
    ("size", 12, "size = 12: must be a power of two from 4 to 128"),
    ("lanes", 2, "lanes = 2: must be a power of two from 4 to 16"),
    ("column_stage", 3, "column_stage = 3: must divide size = 16"),
    ("row_stage", 0, "row_stage = 0: must divide size = 16"),
    ("accumulator_depth", 100, "accumulator_depth = 100: must be a power of two"),
    ("activation_bytes", 1000, "activation_bytes = 1000: must be a power of two"),
    ("weight_words", 16, "weight_words = 16: must be a power of two from 32"),
    ("queue_depth", 1.5, "queue_depth = 1.5: must be a whole number"),
    ("row_stage", True, "row_stage = True: must be a whole number"),
    ("name", "", "name = '': must be a text"),
    ("depthwise_channels", 8, "depthwise_channels = 8: must be size = 16, or 0"),
    ("depthwise_columns", 5, "depthwise_columns = 5: must be 3 where there is no DEPTHWISE unit; give depthwise_channels"),
])
def test_bad_field_is_named(field: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PRESETS["16x16"], **{field: value})


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="'8x9': unknown; the presets are tiny, edge, 16x16, 32x32, 64x64"):
        load_config("8x9")


def test_digest_changes_with_every_field() -> None:
    base = PRESETS["32x32"]
    changes = {"name": "other", "size": 64, "lanes": 32, "column_stage": 8, "row_stage": 1, "accumulator_depth": 512,
               "activation_bytes": 1 << 20, "weight_words": 4096, "parameter_entries": 1024, "table_pages": 4,
               "queue_depth": 16, "activation_banks": 8, "depthwise_channels": 32, "attention_lanes": 8}
    unit = replace(base, depthwise_channels=32, depthwise_columns=5)
    assert set(changes) | {"depthwise_columns"} == set(asdict(base))
    digests = {replace(base, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {base.digest, unit.digest}) == len(changes) + 2


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_derived_values(config: Config) -> None:
    assert config.groups * config.lanes == config.size
    assert config.parameter_beats * config.size == 8 * config.lanes
    assert config.activation_words * config.size == config.activation_bytes


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_file_starts_from_a_preset(tmp_path: Path) -> None:
    path = _file(tmp_path, 'base = "16x16"\nlanes = 8\n')
    assert load_config(path) == replace(PRESETS["16x16"], name="mine", lanes=8)


def test_a_file_stands_alone(tmp_path: Path) -> None:
    path = _file(tmp_path, """name = "eight"\nsize = 8\nlanes = 4\ncolumn_stage = 8\nrow_stage = 4
        accumulator_depth = 128\nactivation_bytes = 0x20_000\nweight_words = 512""")
    config = load_config(path)
    assert config == Config("eight", 8, 4, 8, 4, 128, 1 << 17, 512)
    assert config.queue_depth == PRESETS["16x16"].queue_depth


@pytest.mark.parametrize(("text", "message"), [
    ('base = "16x16"\nlane = 8', "lane = 8: unknown field; known are base, name, size"),
    ('base = "16x16"\nlanes = "8"', "lanes = '8': must be a whole number"),
    ('base = "16x16"\nlanes = true', "lanes = True: must be a whole number"),
    ('base = "16x16"\nname = 5', "name = 5: must be a text"),
    ('base = "16x16"\nname = "tiny"', "name = 'tiny': is a preset's; give another name"),
    ('base = "16x16"\nlanes = 5', "lanes = 5: must be a power of two from 4 to 16"),
    ('base = "18x18"', "base = '18x18': must be a preset: tiny, edge, 16x16"),
    ('base = ["16x16"]', "base = ['16x16']: must be a preset"),
    ("size = 16\nlanes = 4", "column_stage, row_stage, accumulator_depth, activation_bytes, weight_words: missing; give a "
                             "value, or base = '16x16'"),
    ("size: 16", "is not TOML"),
])
def test_a_bad_file_is_named_with_field_value_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(path) + ": .*" + re.escape(message)):
        load_config(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load_config(str(tmp_path / "absent.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml: is not TOML"):
        load_config(str(tmp_path / "binary.toml"))


def test_a_configuration_is_itself() -> None:
    assert load_config(PRESETS["tiny"]) is PRESETS["tiny"]
