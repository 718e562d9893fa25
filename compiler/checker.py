"""Checks that the rules of the integer graph's operations share."""

from typing import Any

import numpy as np

from arrayloom.compiler.errors import GraphError
from arrayloom.compiler.graph import Op, Pads, Pair, Tensor
from arrayloom.isa.instructions import BYTE_VALUES


class Checker:
    """The rules of one operation."""

    def __init__(self, op: Op, tensors: dict[str, Tensor]) -> None:
        self.op = op
        self.xs = [tensors[name] for name in op.inputs]
        self.y = tensors[op.output]

    def require(self, legal: bool, what: str) -> None:
        if not legal:
            raise GraphError(f"node '{self.op.name}' ({self.op.op_type}): {what}")

    def zero_point(self, tensor: Tensor, value: int) -> None:
        lo, hi = tensor.range
        self.require(lo <= value <= hi, f"zero point {value} of '{tensor.name}' is outside {tensor.dtype}")

    def scale(self, value: Any) -> None:
        legal = value.dtype == np.float32 and bool(np.all(np.isfinite(value) & (value > 0)))
        self.require(legal, "a scale is not a positive finite float32")

    def same_dtype(self) -> None:
        self.require(self.xs[0].dtype == self.y.dtype, f"dtype changes from {self.xs[0].dtype} to {self.y.dtype}")

    def shape(self, expected: tuple[int, ...]) -> None:
        self.require(self.y.shape == expected, f"output shape is {self.y.shape}, its inputs give {expected}")

    def table(self, table: Any, rows: tuple[int, ...]) -> None:
        legal = table.ndim == 2 and table.shape[0] in rows and table.shape[1] == BYTE_VALUES
        self.require(legal, f"table has shape {table.shape}; legal rows are {rows}, of {BYTE_VALUES} entries")
        self.require(table.dtype == self.y.dtype, f"table has dtype {table.dtype}, output has {self.y.dtype}")

    def windows(self, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair, partial: bool) -> None:
        """Every output position has a window; `partial` lets the last one reach beyond the padding."""
        self.require(min(kernel + strides + dilations) >= 1, "kernel, strides and dilations must be 1 or more")
        self.require(min(pads) >= 0, f"pads {pads} must not be negative")
        for axis in (0, 1):
            extent = self.xs[0].shape[1 + axis]
            span = (kernel[axis] - 1) * dilations[axis] + 1
            room = extent + pads[axis] + pads[axis + 2] - span
            last = (self.y.shape[1 + axis] - 1) * strides[axis]
            exact = room >= 0 and last <= room < last + strides[axis]
            reaches = last - pads[axis] < extent and last < room + strides[axis]
            legal = exact or (partial and reaches)
            self.require(legal, f"output shape {self.y.shape} does not follow from the windows")
