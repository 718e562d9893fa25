"""The digits network, a ResNet for 8x8 grey images without batch normalization, in numpy: layers with forward
and backward passes, and the network.

Activations are float32 [B, H, W, C]. `forward` stores what `backward` needs; `backward` takes the gradient of the loss with
respect to the layer's output, stores the gradients of the layer's parameters in `grads`, and returns the gradient with
respect to the input.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CLASSES = 10

_BRANCH_GAIN = 0.1
"""Initial scale of a branch's last weights, so that blocks start near the identity."""


class Layer(Protocol):
    """The interface of all layers."""

    def forward(self, x: Array) -> Array:
        """Return the output."""
        ...

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the input."""
        ...

    def weighted(self) -> "Iterator[Conv]":
        """Yield the layers that hold parameters."""
        ...


class Conv:
    """Square convolution with bias and zero padding kernel // 2.

    Weights are [k, k, C_in, C_out]; they start as He initialization (2015) times `gain`.
    """

    def __init__(
        self, rng: np.random.Generator, c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1, gain: float = 1
    ):
        self.stride, self.padding = stride, kernel // 2
        deviation = gain * np.sqrt(2 / (kernel * kernel * c_in))
        self.weight: Array = rng.normal(0, deviation, (kernel, kernel, c_in, c_out)).astype(np.float32)
        self.bias: Array = np.zeros(c_out, np.float32)
        self.grads: tuple[Array, Array] = (np.zeros_like(self.weight), np.zeros_like(self.bias))

    def forward(self, x: Array) -> Array:
        margin = (self.padding, self.padding)
        self._padded = np.pad(x, ((0, 0), margin, margin, (0, 0)))
        return sum((self._padded[tap] @ w for tap, w in self._taps(self.weight))) + self.bias

    def backward(self, dy: Array) -> Array:
        d_weight, d_padded = np.empty_like(self.weight), np.zeros_like(self._padded)
        rows = dy.reshape(-1, dy.shape[3])
        for (tap, w), (_, d_w) in zip(self._taps(self.weight), self._taps(d_weight), strict=True):
            d_w[:] = self._padded[tap].reshape(len(rows), -1).T @ rows
            d_padded[tap] += dy @ w.T
        self.grads = (d_weight, rows.sum(axis=0))
        height, width = (side - 2 * self.padding for side in d_padded.shape[1:3])
        return d_padded[:, self.padding : self.padding + height, self.padding : self.padding + width]

    def weighted(self) -> "Iterator[Conv]":
        yield self

    def _taps(self, weight: Array) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Yield for each tap of the kernel the slice of the padded input that it reads, and its matrix [C_in, C_out]."""
        kernel = len(weight)
        height, width = ((side - kernel) // self.stride + 1 for side in self._padded.shape[1:3])
        for ky, kx in np.ndindex(kernel, kernel):
            rows = slice(ky, ky + self.stride * (height - 1) + 1, self.stride)
            columns = slice(kx, kx + self.stride * (width - 1) + 1, self.stride)
            yield (slice(None), rows, columns), weight[ky, kx]


class Linear(Conv):
    """Fully connected layer on pooled features [B, 1, 1, C_in]: a 1x1 convolution."""

    def __init__(self, rng: np.random.Generator, c_in: int, c_out: int):
        super().__init__(rng, c_in, c_out, kernel=1)


class Relu:
    """max(x, 0)."""

    def forward(self, x: Array) -> Array:
        self._positive = x > 0
        return x * self._positive

    def backward(self, dy: Array) -> Array:
        return dy * self._positive

    def weighted(self) -> Iterator[Conv]:
        return iter(())


class GlobalAveragePool:
    """Mean over H and W: [B, H, W, C] to [B, 1, 1, C]."""

    def forward(self, x: Array) -> Array:
        self._shape = x.shape
        pooled: Array = x.mean(axis=(1, 2), keepdims=True)
        return pooled

    def backward(self, dy: Array) -> Array:
        _, height, width, _ = self._shape
        return np.broadcast_to(dy / np.float32(height * width), self._shape)

    def weighted(self) -> Iterator[Conv]:
        return iter(())


class Sequential:
    """Layers one after the other."""

    def __init__(self, *layers: Layer):
        self.layers = layers

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def weighted(self) -> Iterator[Conv]:
        for layer in self.layers:
            yield from layer.weighted()


class Residual:
    """relu(branch(x) + shortcut(x)); an empty shortcut is the identity."""

    def __init__(self, branch: Sequential, shortcut: Sequential):
        self.branch, self.shortcut, self.relu = branch, shortcut, Relu()

    def forward(self, x: Array) -> Array:
        return self.relu.forward(self.branch.forward(x) + self.shortcut.forward(x))

    def backward(self, dy: Array) -> Array:
        dy = self.relu.backward(dy)
        return self.branch.backward(dy) + self.shortcut.backward(dy)

    def weighted(self) -> Iterator[Conv]:
        yield from self.branch.weighted()
        yield from self.shortcut.weighted()


def digits_resnet(rng: np.random.Generator) -> Sequential:
    """Build the network with random weights: [B, 8, 8, 1] to logits [B, 1, 1, 10]."""
    return Sequential(
        Conv(rng, 1, 16),
        Relu(),
        _block(rng, 16, 16),
        _block(rng, 16, 32, stride=2),
        _block(rng, 32, 32),
        GlobalAveragePool(),
        Linear(rng, 32, CLASSES),
    )


def _block(rng: np.random.Generator, c_in: int, c_out: int, stride: int = 1) -> Residual:
    branch = Sequential(Conv(rng, c_in, c_out, stride=stride), Relu(), Conv(rng, c_out, c_out, gain=_BRANCH_GAIN))
    same_shape = stride == 1 and c_in == c_out
    return Residual(branch, Sequential() if same_shape else Sequential(Conv(rng, c_in, c_out, kernel=1, stride=stride)))
