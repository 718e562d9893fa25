"""A program's inputs and outputs: the tensors that the host writes to memory before a run and reads after it."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_steps import MOST_DIMENSIONS, HostStep, Quantize, Reshape, Shape, Transpose, step_from_json
from arrayloom.isa.layout import Layout
from arrayloom.isa.records import BytesType, mapping, record


@dataclass(frozen=True)
class Slot:
    """A tensor in memory: ``address`` is the first byte of its ``layout``; ``dtype`` that of the model."""

    tensor: str
    address: int
    layout: Layout
    dtype: BytesType

    def check(self, size: int, shape: Shape) -> None:
        """Raises ``EncodingError`` unless its layout, with words of ``size`` bytes, has the elements of ``shape``."""
        self.layout.check(size)
        elements = self.layout.channels * self.layout.height * self.layout.width
        if len(shape) >= MOST_DIMENSIONS or min(shape, default=1) < 1 or math.prod(shape) != elements:
            raise EncodingError(f"shape {list(shape)} does not hold the {elements} elements of its layout")


@dataclass(frozen=True)
class Input:
    """A model input. With ``quantize`` the host computes the slot's integers; otherwise the model's input is integer.

    ``shape`` is the model's, without the batch. ``moves``: the transposes and reshapes that the host applies first, in
    order, so that channels come before rows.
    """

    name: str
    shape: Shape
    slot: Slot
    quantize: Quantize | None = None
    moves: tuple[HostStep, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "slot": asdict(self.slot), "quantize": self.quantize and self.quantize.to_json(),
                "moves": [step.to_json() for step in self.moves]}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """Reads an input of a program's header; raises ``EncodingError``, which names the wrong field."""
        given = dict(mapping(value, where))
        written = given.pop("quantize")
        step = None if written is None else step_from_json(written)
        if not isinstance(step, Quantize | None):
            raise EncodingError(f"input {given.get('name')!r}: host step {step.tag!r} cannot make its integers; only "
                                "'quantize' can")
        return record(cls, given, where, quantize=step)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the model's input: float32, or that of the slot."""
        return np.dtype(np.float32) if self.quantize else np.dtype(self.slot.dtype)

    def check(self, size: int) -> None:
        """Raises ``EncodingError`` unless the slot, with words of ``size`` bytes, fits the model's input."""
        self.slot.check(size, self.shape)
        shape = self.shape
        for step in self.moves:
            if not isinstance(step, Transpose | Reshape):
                raise EncodingError(f"host step {step.tag!r} cannot move it; only 'transpose' and 'reshape' can")
            shape, _ = step.result(shape, self.dtype)
        if self.quantize and self.quantize.result(shape, self.dtype)[1] != np.dtype(self.slot.dtype):
            raise EncodingError(f"it is quantized to {self.quantize.dtype}, and its slot holds {self.slot.dtype}")


@dataclass(frozen=True)
class Output:
    """A model output, or the features. ``tail``: the steps that the host applies to the slot's integers, in order."""

    name: str
    shape: Shape
    slot: Slot
    tail: tuple[HostStep, ...]

    def check(self, size: int) -> None:
        """Raises ``EncodingError`` unless the output has words of ``size`` bytes and each step can be applied."""
        self.slot.check(size, self.shape)
        if self.slot.layout.packing:
            raise EncodingError("it lies in a packed layout, which only inputs do")
        self.result()

    def result(self) -> tuple[Shape, np.dtype[Any]]:
        """Shape, without the batch, and dtype after the steps; raises ``EncodingError`` if one cannot be applied."""
        shape, dtype = self.shape, np.dtype(self.slot.dtype)
        for step in self.tail:
            shape, dtype = step.result(shape, dtype)
        return shape, dtype

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "slot": asdict(self.slot), "tail": [step.to_json() for step in self.tail]}
