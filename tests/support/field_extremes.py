"""Instructions with one field at an end of its range, with the surrounding instructions that they need."""

from collections.abc import Iterable, Iterator
from typing import Any

from random_attention import TABLES
from random_words import WordDraw
from word_checks import check
from word_runs import DATA, program_of_words

from arrayloom.isa.config import PARAMETER_BYTES, PRESETS, Config
from arrayloom.isa.fields import FieldSpec, Instruction
from arrayloom.isa.instructions import (
    THRESHOLDS,
    CentredConvolve,
    Convolve,
    Depthwise,
    Drain,
    DrainAttention,
    DrainDepthwise,
    Elementwise,
    End,
    FeedWeights,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Moments,
    Normalize,
    Pool,
    PoolKind,
    Softmax,
    Store,
    Turn,
)
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing

TINY = PRESETS["tiny"]
MASKS = ("opcode", "wait", "signal")
REGION = {"height": 2, "width": 2, "destination": 8000, "destination_pitch": 2}
ADDS = {"residual": 6000, "residual_pitch": 2, "ratio_a": 1 << 37, "ratio_b": 1 << 37}
WINDOW = {"source": 5000, "row_pitch": 4, "source_height": 4, "source_width": 4}
RUNS = {"address": 0, "words": 2, "rows": 2, "memory_pitch": 4, "chip_pitch": 4}
SQUARES = {"source": 5000, "pitch": 4, "tiles": 2, "rows": 4}
BASES: dict[type[Instruction], dict[str, Any]] = {
    LoadWeights: {"address": 0, "words": TINY.size}, LoadParameters: {"address": DATA, "entries": TINY.groups},
    LoadLookupTable: {"address": 0}, LoadActivations: RUNS | {"destination": 8000}, Store: RUNS | {"source": 5000},
    Convolve: WINDOW | {"height": 2, "width": 2, "plane_pitch": 16, "first": 1, "last": 1},
    Drain: REGION | ADDS | {"release_parameters": 1}, Elementwise: REGION | ADDS | {"source": 5000, "source_pitch": 2},
    Depthwise: WINDOW | {"height": 2, "width": 2, "weights": 4000},
    DrainDepthwise: REGION | ADDS | {"release_parameters": 1},
    Pool: REGION | WINDOW | {"kind": PoolKind.SUM, "release_parameters": 1, "multiplier": 1 << 23},
    CentredConvolve: WINDOW | {"height": 2, "width": 2, "plane_pitch": 16, "first": 1, "last": 1},
    FeedWeights: SQUARES, Turn: SQUARES | {"destination": 8000, "destination_pitch": 4},
    Softmax: {"source": 5000, "width": 4, "table": TABLES, "factor": 255},
    Moments: {"source": 5000, "plane_pitch": 4, "blocks": 2, "channels": 7, "width": 4, "epsilon": 1000},
    Normalize: {"source": 5000, "width": 4, "signs": 6000}, DrainAttention: REGION | ADDS | {"release_parameters": 1}}
"""Legal fields, and regions far from one another."""
LONG = {("convolve", "blocks"), ("centred_convolve", "blocks"), ("pool", "height")}
"""Fields whose highest value is a run of minutes; tests/host/runtime/test_width_extremes.py has them."""
OF_ADDS = ("ratio_a", "ratio_b", "add_offset", "a_offset", "b_offset", "product_zero", "sum_offset", "add_low", "add_high")


def values(spec: FieldSpec) -> set[int]:
    """Values at both ends of a field, and around zero."""
    return {spec.low, spec.high, *((-1, 0, 1) if spec.signed else ())}


def cases(cls: type[Instruction]) -> Iterator[tuple[Instruction, str]]:
    """The instruction with one field at an end, with and without an add and a product if it supports them."""
    for spec in cls.specs():
        if spec.name in MASKS:
            continue
        for value in sorted(values(spec)):
            if (cls.mnemonic(), spec.name) not in LONG or value == spec.low:
                yield cls(**BASES[cls] | {spec.name: value}), f"{spec.name} = {value}"
                if spec.name in OF_ADDS:
                    yield cls(**BASES[cls] | {"add": 1, spec.name: value}), f"add with {spec.name} = {value}"


def program(subject: Instruction) -> list[Instruction]:
    """The program: the instructions that it needs first, and those that release what it must not leave."""
    groups = LoadParameters(address=DATA, entries=TINY.groups)
    one = {"height": 1, "width": 1}
    bank = Convolve(**WINDOW, **one, first=1, last=1)
    drain = Drain(**one, destination=9000, release_parameters=1)
    tile = LoadWeights(address=0, words=TINY.size)
    table = [LoadLookupTable(address=0)] if getattr(subject, "lookup_table", 0) else []
    if isinstance(subject, LoadWeights):
        return [subject, bank, groups, drain]
    if isinstance(subject, LoadParameters):
        return [subject, Pool(**WINDOW, **one, kind=PoolKind.SUM, destination=9000, release_parameters=1)]
    if isinstance(subject, LoadLookupTable):
        return [subject, Elementwise(**one, destination=9000, lookup_table=1, release_lookup_table=1)]
    if isinstance(subject, Convolve):
        tiles = LoadWeights(address=0, words=subject.tiles * TINY.size)
        before = [] if subject.first else [tile, bank.changed(height=2, width=2, last=0)]
        return [*before, tiles, subject, groups, drain.changed(height=subject.height or 1, width=subject.width or 1)]
    if isinstance(subject, Depthwise):
        return [subject, groups, DrainDepthwise(height=subject.height or 1, width=subject.width or 1, destination=9000,
                                                release_parameters=1)]
    if isinstance(subject, DrainDepthwise):
        return [*table, Depthwise(**WINDOW, height=2, width=2), groups, subject]
    if isinstance(subject, FeedWeights | Turn | Softmax | Moments | Normalize | DrainAttention):
        return [*table, *of_attention(subject)]
    if isinstance(subject, Drain):
        return [*table, tile, bank.changed(height=2, width=2), groups, subject]
    if isinstance(subject, Pool):
        average = subject.kind == PoolKind.AVERAGE
        return [*table, LoadParameters(address=DATA, entries=THRESHOLDS if average else TINY.groups), subject]
    return [*table, subject]


def of_attention(subject: Instruction) -> list[Instruction]:
    """Likewise for an instruction of the ATTENTION unit, or a Drain of its sums."""
    groups = LoadParameters(address=DATA, entries=TINY.groups)
    softmax, moments = Softmax(**BASES[Softmax]), Moments(**BASES[Moments])
    drain = DrainAttention(height=1, width=getattr(subject, "width", 1) or 1, destination=9000, release_parameters=1)
    if isinstance(subject, FeedWeights):
        one = {"height": 1, "width": 1}
        used = [Convolve(**WINDOW, **one, blocks=subject.tiles, first=1, last=1)] if subject.tiles else []
        return [subject, *used, groups, Drain(**one, destination=9000, release_parameters=1)]
    if isinstance(subject, DrainAttention):
        return [softmax, groups, subject]
    if isinstance(subject, Normalize):
        return [moments, subject, groups, drain]
    return [subject, groups, drain] if isinstance(subject, Softmax) else [subject]


def check_ends(build: Build, cls: type[Instruction], cases: Iterable[tuple[Instruction, str]],
               config: Config = TINY) -> None:
    """Emulator and RTL refuse the same ``cases`` and give the same results for the others, of which there must be some."""
    draw, legal = WordDraw(config, 1), 0
    parameters = BASES[LoadParameters]["entries"] * PARAMETER_BYTES * TINY.lanes
    draw.memory[:parameters] = draw.memory[DATA:DATA + parameters]      # the lowest addresses must hold valid scales
    for subject, text in cases:
        words = [int.from_bytes(one.encode(), "little") for one in (*program(subject), End())]
        try:
            legal += check(build, program_of_words(config, words), draw.memory, draw.scratchpad, Timing())
        except AssertionError as error:
            raise AssertionError(f"{cls.mnemonic()} with {text}: {error}") from None
    assert legal > 0
