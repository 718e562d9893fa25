"""Folded tensors: words hold several neighbouring pixels of a row if a tensor has fewer channels than a word has bytes.

With P pixels in a word, a tensor [C, H, W] becomes [P * C, H, W / P]: channel ``p * C + c`` of column j is channel c of
pixel ``j * P + p``. A convolution between folded tensors is a convolution with rearranged weights.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import LARGEST_STRIDE, Convolution, Taps
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.instructions import TAPS

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class FoldedTaps:
    """The taps of one row of a kernel between folded tensors.

    Tap t of pixel q in output column 0 reads pixel ``pixel[q, t]`` of the source word ``origin + word[q, t] * dilation``;
    each further output column reads ``stride`` words to the right.
    """

    word: Indices
    pixel: Indices
    stride: int
    origin: int
    dilation: int

    @classmethod
    def of(cls, taps: Taps, before: int, after: int) -> Self | None:
        """Returns the taps between tensors with ``before`` and ``after`` pixels in a word.

        Returns None if the output columns do not all read the same pattern of words, or if its values do not fit an
        instruction.
        """
        if after * taps.strides[1] % before:
            return None
        columns = np.arange(taps.kernel[1]) * taps.dilations[1]
        places = np.arange(after)[:, None] * taps.strides[1] + taps.origin[1] + columns
        words, pixels = np.divmod(places, before)
        origin = int(words.min())
        dilation = int(np.gcd.reduce(words - origin, axis=None)) or 1
        made = cls((words - origin) // dilation, pixels, after * taps.strides[1] // before, origin, dilation)
        fits = max(made.stride, dilation) <= LARGEST_STRIDE and made.words < 1 << TAPS
        return made if fits else None

    @property
    def words(self) -> int:
        """The number of columns of the folded kernel."""
        return int(self.word.max()) + 1

    def kernel(self, taps: Taps) -> Taps:
        """Returns the taps of the folded convolution; rows are those of ``taps``."""
        return Taps((taps.kernel[0], self.words), (taps.strides[0], self.stride), (taps.origin[0], self.origin),
                    (taps.dilations[0], self.dilation))


def can_fold(step: Step) -> bool:
    """Whether a step is a convolution that can read and write folded tensors."""
    return type(step.operation) is Convolution and step.operation.group == 1


def folded_channels(network: Network, name: str, pixels: int) -> tuple[Indices, Indices]:
    """Returns the pixel and the original channel of each channel of a folded tensor, each int64[C * pixels].

    The channels of a concatenation are ordered by member. ``network`` must have the shapes of tensors before folding.
    """
    if name not in network.concats:
        channels = network.shapes[name][0]
        return np.repeat(np.arange(pixels), channels), np.tile(np.arange(channels), pixels)
    which: list[Indices] = []
    places: list[Indices] = []
    first = 0
    for member in network.concats[name]:
        pixel, channel = folded_channels(network, member, pixels)
        which.append(pixel)
        places.append(channel + first)
        first += network.shapes[member][0]
    return np.concatenate(which), np.concatenate(places)


def fold(network: Network, folds: dict[str, int]) -> None:
    """Folds the tensors in ``folds``, the result of ``choose_folds``, with the given numbers of pixels in a word."""
    network.steps = [_fold_step(network, step, folds) for step in network.steps]
    for name, pixels in folds.items():
        channels, height, width = network.shapes[name]
        network.shapes[name] = channels * pixels, height, width // pixels
    network.folds = folds


def _fold_step(network: Network, step: Step, folds: dict[str, int]) -> Step:
    before, after = folds.get(step.x, 1), folds.get(step.output, 1)
    if before == after == 1:
        return step
    operation, epilogue = step.operation, step.epilogue
    if isinstance(operation, Convolution):
        operation = _fold_convolution(operation, folded_channels(network, step.x, before), before, after)
    if epilogue.lookup_table is not None and epilogue.per_channel:
        epilogue = replace(epilogue, lookup_table=np.tile(epilogue.lookup_table, (after, 1)))
    return replace(step, operation=operation, epilogue=epilogue)


def _fold_convolution(operation: Convolution, source: tuple[Indices, Indices], before: int, after: int) -> Convolution:
    folded = FoldedTaps.of(operation.taps, before, after)
    assert folded is not None, operation.taps
    outputs, _, rows, columns = operation.weight.shape
    which, channels = source
    weight = np.zeros((after, outputs, len(which), rows, folded.words), np.int16)
    for pixel, tap in product(range(after), range(columns)):
        chosen = np.flatnonzero(which == folded.pixel[pixel, tap])
        weight[pixel][:, chosen, :, folded.word[pixel, tap]] = operation.weight[:, channels[chosen], :, tap]
    return replace(
        operation, taps=folded.kernel(operation.taps), weight=weight.reshape(after * outputs, *weight.shape[2:]),
        bias=np.tile(operation.bias, after), scale=np.tile(operation.scale, after))
