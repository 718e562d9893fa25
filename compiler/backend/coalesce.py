"""Loads of neighbouring constants as one: fewer instructions to fetch, longer bursts."""

from typing import Any

from arrayloom.compiler.backend.stream import Address, Item
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import LoadParameters, LoadWeights


def coalesce(items: list[Item], config: Config) -> list[Item]:
    """Joins loads of weights, and of parameters, that follow each other in their FIFO and in memory.

    A joined load stays within a part of its FIFO, so that it can complete before anything behind it has run.
    """
    limits: dict[type[Instruction], tuple[str, int, int]] = {
        LoadWeights: ("words", config.size, config.weight_words // 2),
        LoadParameters: ("entries", 8 * config.lanes, config.parameter_entries // 4)}
    last: dict[type[Instruction], Item] = {}
    kept = []
    for item in items:
        if item.kind in limits:
            count, bytes_each, limit = limits[item.kind]
            earlier = last.get(item.kind)
            if earlier is not None and _joins(earlier.fields, item.fields, count, bytes_each, limit):
                earlier.fields[count] += item.fields[count]
                continue
            last[item.kind] = item
        kept.append(item)
    return kept


def _joins(first: dict[str, Any], second: dict[str, Any], count: str, bytes_each: int, limit: int) -> bool:
    begin: Address = first["address"]
    end = Address(begin.section, begin.offset + first[count] * bytes_each)
    return second["address"] == end and first[count] + second[count] <= limit
