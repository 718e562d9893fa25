"""Several taps of a kernel row in one word, for first layers that have few channels."""

from collections import Counter
from dataclasses import replace

import numpy as np

from arrayloom.compiler.backend.steps import Convolution, Network, Step, Taps
from arrayloom.isa.layout import Packing


def pack_inputs(network: Network, size: int) -> None:
    """Gives every input that only one convolution reads the layout in which that takes the fewest tiles."""
    uses = Counter(name for step in network.steps for name in network.reads(step))
    uses.update(network.kept())
    given = {port.tensor for port in network.inputs}
    for index, step in enumerate(network.steps):
        if step.x in given and uses[step.x] == 1 and isinstance(step.operation, Convolution):
            packed = _pack(network, step, step.operation, size)
            if packed is not None:
                network.steps[index] = packed


def _pack(network: Network, step: Step, operation: Convolution, size: int) -> Step | None:
    """The step on packed words of several pixels; None where that would not take fewer tiles.

    A word starts every ``step`` pixels and holds ``taps`` of them; the kernel's row then reads every ``skip``-th word.
    """
    (rows, columns), (stride_y, stride_x), taps = operation.taps.kernel, operation.taps.strides, operation.taps
    channels, _, _ = network.shapes[step.x]
    if operation.group > 1 or operation.selection or taps.dilations[1] != 1:
        return None
    held = min(size // channels, columns) if channels <= size else 1
    skip = max(1, held // stride_x)
    words = 1 if held == columns else -(-(columns - held) // (skip * stride_x)) + 1
    if held < 2 or (words > 1 and skip * stride_x > held) or words >= columns:
        return None
    width = network.shapes[step.output][2] + (words - 1) * skip
    network.packings[step.x] = Packing(held, stride_x, taps.origin[1], width, operation.padding)
    packed = Taps((rows, words), (stride_y, 1), (taps.origin[0], 0), (taps.dilations[0], skip))
    weight = _pack_weight(operation, held, skip * stride_x, words)
    return replace(step, operation=replace(operation, taps=packed, weight=weight))


def _pack_weight(operation: Convolution, held: int, distance: int, words: int) -> np.ndarray:
    """[M, held * C, kh, words]: tap t of the row goes to the first word that holds it."""
    outputs, channels, rows, columns = operation.weight.shape
    packed = np.zeros((outputs, held, channels, rows, words), np.int16)
    for tap in range(columns):
        word = max(0, -(-(tap - held + 1) // distance))
        packed[:, tap - word * distance, :, :, word] = operation.weight[:, :, :, tap]
    return packed.reshape(outputs, held * channels, rows, words)
