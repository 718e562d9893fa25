"""Random choices: all numbers of a graph come from one seeded generator through a few distributions."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Choice = TypeVar("Choice")
Array = NDArray[Any]

BYTE_RANGE = {"uint8": (0, 255), "int8": (-128, 127)}


def byte_range(dtype: np.dtype) -> tuple[int, int]:
    """Smallest and largest value of uint8 or int8."""
    return BYTE_RANGE[np.dtype(dtype).name]


class Draw:
    """The choices of one graph, all from ``seed``."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """Uniform, inclusive."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence[Choice], weights: Sequence[float] | None = None) -> Choice:
        """One of the options, weighted if weights are given."""
        if weights is None:
            return options[self.integer(0, len(options) - 1)]
        shares = np.asarray(weights, np.float64)
        return options[int(self.rng.choice(len(options), p=shares / shares.sum()))]

    def log_uniform(self, low: float, high: float) -> float:
        return float(2.0 ** self.rng.uniform(np.log2(low), np.log2(high)))

    def channels(self, most: int = 40) -> int:
        """1 to ``most``, mostly odd and small: no multiple of any array's size."""
        value = self.integer(1, self.pick([5, 12, most], [3, 3, 2]))
        return value if value % 2 or value == 1 or self.chance(0.3) else value - 1

    def extent(self, most: int = 20) -> int:
        """Pixels along one side."""
        return self.integer(1, self.pick([4, 9, most], [1, 3, 2]))

    def dtype(self) -> np.dtype:
        return np.dtype(self.pick([np.uint8, np.int8], [3, 2]))

    def zero_point(self, dtype: np.dtype) -> int:
        """Mostly odd, sometimes an end of the range, the middle or any value."""
        low, high = byte_range(dtype)
        kind = self.pick(["odd", "end", "middle", "any"], [12, 2, 2, 4])
        if kind == "odd":
            return self.odd(self.integer(low, high), dtype)
        if kind == "end":
            return self.pick([low, high])
        return (low + high + 1) // 2 if kind == "middle" else self.integer(low, high)

    def odd(self, value: int, dtype: np.dtype) -> int:
        """An odd value next to ``value`` within the range of ``dtype``."""
        low, high = byte_range(dtype)
        return value if value % 2 else min(max(value + 1, low), high)

    def bytes(self, shape: Sequence[int], dtype: np.dtype) -> Array:
        """Values over the whole range: uniform, with many extremes, only extremes, or small."""
        low, high = byte_range(dtype)
        kind = self.pick(["uniform", "peaks", "ends", "small"], [6, 3, 1, 2])
        values = self.rng.integers(low, high + 1, shape)
        if kind == "small":
            middle = (low + high + 1) // 2
            values = np.clip(middle + np.rint(self.rng.normal(0, 12, shape)).astype(np.int64), low, high)
        ends = np.where(self.rng.random(shape) < 0.5, low, high)
        share = {"uniform": 0.02, "peaks": 0.3, "ends": 1.0, "small": 0.02}[kind]
        return np.where(self.rng.random(shape) < share, ends, values).astype(dtype)


def power_of_two(value: float) -> np.float32:
    """The power of two nearest to a positive value on a logarithmic scale."""
    return np.float32(2.0 ** int(np.rint(np.log2(value))))
