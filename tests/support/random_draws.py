"""Random draws: quantizations, names and the values that a random network can read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from networks import Network
from numpy.typing import NDArray

Array = NDArray[Any]
MAX_CHANNELS, MAX_EXTENT = 12, 14


@dataclass(frozen=True)
class Value:
    """One integer value; `shape` without batch: [C, H, W], [C, L] or [F]."""

    name: str
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    dtype: np.dtype


class Generator(Network):
    """A network under construction, and the random draws that make it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        super().__init__(opset=int(self.rng.choice([13, 14, 17])))
        self.pool: list[Value] = []

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, low: int, high: int) -> int:
        """An integer of low..high, both included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self, like: np.float32) -> np.float32:
        kind = self.pick(0, 2)
        if kind == 0:
            return like
        size = like * 2.0 ** self.rng.uniform(-1, 1)
        return np.float32(2.0 ** np.round(np.log2(size)) if kind == 1 else size)

    def zero_point(self, dtype: np.dtype) -> int:
        info = np.iinfo(dtype)
        middle = (int(info.min) + int(info.max) + 1) // 2
        odd = self.pick(int(info.min) // 2, int(info.max) // 2) * 2 + 1
        return [int(info.min), middle, min(odd, int(info.max))][self.pick(0, 2)]

    def parameters(self, value: Value) -> list[str]:
        return [self.constant(np.float32(value.scale)), self.constant(np.array(value.zero_point, value.dtype))]

    def operand(self, value: Value) -> list[str]:
        return [value.name, *self.parameters(value)]

    def draw(self, stem: str, shape: tuple[int, ...], like: Value) -> Value:
        """A new value with quantization of its own."""
        return Value(self.name(stem), shape, self.scale(like.scale), self.zero_point(like.dtype), like.dtype)

    def same(self, stem: str, shape: tuple[int, ...], like: Value) -> Value:
        """A new value with the quantization of another."""
        return Value(self.name(stem), shape, like.scale, like.zero_point, like.dtype)

    def source(self, rank: int | None = None) -> Value | None:
        """A value of the pool, rather a late one."""
        fitting = [value for value in self.pool if rank is None or len(value.shape) == rank]
        if not fitting:
            return None
        return fitting[-1] if self.chance(0.6) else fitting[self.pick(0, len(fitting) - 1)]

    def add(self, value: Value) -> Value:
        self.pool.append(value)
        return value
