"""Instructions without effect that give or take tokens.

LOAD fills the weight FIFO for ARRAY with tiles of arbitrary content from the beginning of memory; ARRAY convolves
one pixel into an accumulator, and DEPTHWISE one into an accumulator of its own; POST ignores these sums and writes a
scratchpad word back unchanged. STORE copies the word to an unused address in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.instructions import (
    ADD_FRACTION,
    Convolve,
    Depthwise,
    Drain,
    DrainDepthwise,
    Elementwise,
    LoadParameters,
    LoadWeights,
    Store,
)

Masks = list[int]


@dataclass(frozen=True)
class Idle:
    """The resources that such instructions may use.

    Attributes
    ----------
    config
        Configuration of the accelerator.
    word
        Scratchpad word; only POST may write it meanwhile.
    address
        Address in memory of a word that is never read.
    """

    config: Config
    word: int
    address: int

    def giving(self, tokens: dict[tuple[Unit, Unit], int]) -> list[Instruction]:
        """Instructions that give the specified numbers of tokens from each unit to each other unit."""
        masks = {unit: _masks({pair[1]: count for pair, count in tokens.items() if pair[0] is unit}) for unit in Unit}
        return list(self._instructions("signal", masks))

    def taking(self, tokens: dict[tuple[Unit, Unit], int]) -> list[Instruction]:
        """Instructions that take the specified numbers of tokens from each unit for each other unit."""
        masks = {unit: _masks({pair[0]: count for pair, count in tokens.items() if pair[1] is unit}) for unit in Unit}
        return list(self._instructions("wait", masks))

    def _instructions(self, name: str, masks: dict[Unit, Masks]) -> Iterator[Instruction]:
        """One instruction per mask of each unit, with the instructions that it needs; the mask is stored in field
        ``name``."""
        posts = iter(masks[Unit.POST])
        if masks[Unit.LOAD] or masks[Unit.ARRAY]:
            yield from self._sums(name, masks[Unit.LOAD] or [0], masks[Unit.ARRAY] or [0])
            yield Drain(**self._same(next(posts, 0), name))
        if masks[Unit.DEPTHWISE]:
            yield LoadParameters(address=0, entries=self.config.groups * len(masks[Unit.DEPTHWISE]))
        for mask in masks[Unit.DEPTHWISE]:
            yield Depthwise(**{name: mask}, source=self.word, weights=self.word, row_pitch=1, source_height=1,
                            source_width=1, height=1, width=1)
            yield DrainDepthwise(**self._same(next(posts, 0), name))
        for mask in posts:
            yield Elementwise(**self._place(), **{name: mask}, source=self.word, source_pitch=1)
        for mask in masks[Unit.STORE]:
            yield Store(**{name: mask}, address=self.address, source=self.word, words=1, rows=1)

    def _sums(self, name: str, loads: Masks, convolves: Masks) -> Iterator[Instruction]:
        """Fills an accumulator bank with one pixel and loads parameters of arbitrary content to drain it; each tile is
        loaded separately."""
        tiles = max(len(loads), len(convolves))
        for mask in [*loads, *[0] * (tiles - len(loads))]:
            yield LoadWeights(**{name: mask}, address=0, words=self.config.size)
        yield LoadParameters(address=0, entries=self.config.groups)
        for number, mask in enumerate(convolves, 1):
            count = 1 if number < len(convolves) else tiles - len(convolves) + 1
            yield Convolve(**{name: mask}, source=self.word, row_pitch=1, source_height=1, source_width=1, height=1, width=1,
                           blocks=count, first=number == 1, last=number == len(convolves))

    def _same(self, mask: int, name: str) -> dict[str, int]:
        """Fields of a Drain that writes the word of the scratchpad, whatever the sums are."""
        return self._place() | {name: mask, "low": 0, "high": 0, "release_parameters": 1, "add": 1, "swap": 1,
                                "ratio_a": 1 << ADD_FRACTION, "residual": self.word, "residual_pitch": 1}

    def _place(self) -> dict[str, int]:
        return {"destination": self.word, "destination_pitch": 1, "height": 1, "width": 1}


def count_giving(tokens: dict[tuple[Unit, Unit], int]) -> int:
    """The number of instructions of ``Idle.giving``."""
    loads, arrays, posts, stores, depthwise = (max((count for pair, count in tokens.items() if pair[0] is unit), default=0)
                                               for unit in (*CORE_UNITS, Unit.DEPTHWISE))
    sums = max(1, loads, arrays) + max(1, arrays) + 1 if loads or arrays else 0
    own = depthwise + 1 if depthwise else 0
    return sums + own + max(posts, bool(sums) + depthwise) + stores


def _masks(counts: dict[Unit, int]) -> Masks:
    """The fewest masks that name each unit the specified number of times."""
    return [sum(1 << unit for unit, count in counts.items() if count > number)
            for number in range(max(counts.values(), default=0))]
