"""Depthwise convolutions on the DEPTHWISE unit: which ones it can execute, and how their kernels are stored."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Convolution, DepthwiseConvolution, Operation
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.backend.weights import split
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import DEPTHWISE_TAPS, Depthwise

MOST_TAPS = (1 << DEPTHWISE_TAPS) - 1
MOST_REPEATS = next(spec.high for spec in Depthwise.specs() if spec.name == "repeats")


def use_depthwise_unit(network: Network, config: Config, on_array: set[str]) -> None:
    """Moves depthwise convolutions to the DEPTHWISE unit, if ``config`` has one and can execute them.

    Steps whose outputs are in ``on_array`` stay on the array.
    """
    if config.depthwise_channels:
        network.steps = [step if step.output in on_array else _on_the_unit(network, step) for step in network.steps]


def _on_the_unit(network: Network, step: Step) -> Step:
    operation = step.operation
    if not isinstance(operation, Convolution) or not _fits(operation, network.shapes[network.root(step.x)][0]):
        return step
    if step.x in network.virtual_concats or step.x in network.slices:
        return step
    return replace(step, operation=DepthwiseConvolution(operation.taps, on_array=operation))


def _fits(operation: Convolution, channels: int) -> bool:
    """Whether a convolution has one kernel for each of ``channels`` channels, and the unit can hold the kernel."""
    outputs, depth, *_ = operation.weight.shape
    return (type(operation) is Convolution and not operation.selection and depth == 1
            and operation.group == outputs == channels and max(operation.taps.kernel) <= MOST_TAPS
            and len(split(operation.weight)) <= MOST_REPEATS)


def taps_of(operation: Operation) -> int:
    """Returns the number of words of the kernel of one channel block."""
    assert isinstance(operation, DepthwiseConvolution), operation
    rows, columns = operation.taps.kernel
    return rows * columns * len(split(operation.on_array.weight))


def kernel_words(network: Network, step: Step) -> int:
    """Returns the number of words of the kernels of all channel blocks of a depthwise step."""
    return network.layouts[step.output].blocks * taps_of(step.operation)


def arrange_kernel(operation: DepthwiseConvolution, slots: NDArray[np.int64], blocks: int, size: int) -> NDArray[np.uint8]:
    """Returns the bytes of the kernels, ordered by block, repeat and tap; ``slots`` are the channel slots (int64[C])."""
    parts = split(operation.on_array.weight)
    taps = operation.taps.kernel[0] * operation.taps.kernel[1]
    words = np.zeros((len(parts), taps, blocks * size), np.int8)
    for repeat, part in enumerate(parts):
        words[repeat][:, slots] = part.reshape(len(part), taps).T
    arranged = words.reshape(len(parts), taps, blocks, size).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(arranged).view(np.uint8).ravel()
