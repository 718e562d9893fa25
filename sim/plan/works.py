"""The works of a plan: words read, computation and words written by one instruction, with the instructions that feed it."""

from collections.abc import Hashable
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import Elementwise, Pool, PostInstruction
from arrayloom.sim.plan.feeds import Range

Index = NDArray[np.int32]

NONE: Index = np.zeros(0, np.int32)
PLACES = frozenset({
    "wait", "signal", "destination", "destination_pitch", "height", "width", "release_lookup_table", "release_parameters",
    "residual", "residual_pitch", "source", "source_pitch", "row_pitch", "source_height", "source_width", "origin_y",
    "origin_x", "stride_y", "stride_x", "dilation_y", "dilation_x"})
"""Fields of POST instructions that determine place and time, not the computation."""


@dataclass(frozen=True, eq=False)
class Work:
    """One instruction of POST, LOAD or STORE that moves words, and the instructions that feed it.

    Attributes
    ----------
    instructions
        Of the program, by index; the last is the one that writes.
    instruction
        The instruction that writes.
    sources
        Int32[pixels, terms], the words that its own operation reads for each pixel.
    destination
        Int32[pixels], the words that it writes.
    residual
        Int32[pixels], the words of the second operand, or none.
    weights
        Addresses of the tiles of a product, in the order of ``sources``.
    parameters
        Addresses of the parameter entries.
    table
        Address of the lookup table.
    """

    instructions: tuple[int, ...]
    instruction: Instruction
    sources: Index
    destination: Index
    residual: Index = field(default_factory=lambda: NONE)
    weights: tuple[Range, ...] = ()
    parameters: tuple[int, ...] = ()
    table: Range | None = None

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Works of one key may be executed in one step."""
        kind = type(self.instruction)
        if not isinstance(self.instruction, PostInstruction):
            return (kind.__name__,)
        computed = tuple(getattr(self.instruction, item.name) for item in fields(kind) if item.name not in PLACES)
        own = (self.table, self.parameters) if isinstance(self.instruction, Pool) else \
            self.table if isinstance(self.instruction, Elementwise) else None
        return kind.__name__, computed, own

    @property
    def reads(self) -> Index:
        return np.concatenate([self.sources.ravel(), self.residual]) if self.residual.size else self.sources.ravel()
