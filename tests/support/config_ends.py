"""Configurations at the ends of every field's range, in which each pair of ends of two fields occurs."""

from covering import Row, all_pairs

from arrayloom.isa.config import Config
from arrayloom.isa.instructions import THRESHOLDS


def limits(size: int) -> dict[str, tuple[int, int]]:
    """The least and the largest valid value of each field for a size."""
    return {"lanes": (size // 4, size), "column_stage": (1, size), "row_stage": (1, size), "accumulator_depth": (16, 4096),
            "activation_bytes": (256 * size, size << 20), "weight_words": (2 * size, 1 << 20),
            "parameter_entries": (THRESHOLDS, 1 << 16), "table_pages": (2, 16), "queue_depth": (4, 64),
            "activation_banks": (2, 8)}


ROWS = all_pairs(dict.fromkeys(limits(4), (0, 1)))
"""For each field, whether it is the largest."""


def config_of(size: int, row: Row) -> Config:
    chosen = {name: ends[row[name]] for name, ends in limits(size).items()}
    return Config(name=f"{size} {''.join(map(str, row.values()))}", size=size, **chosen)


def end_of(config: Config, name: str) -> str:
    """``least`` or ``most`` if the field has that end of its range, else empty."""
    least, most = limits(config.size)[name]
    return {least: "least", most: "most"}.get(getattr(config, name), "")
