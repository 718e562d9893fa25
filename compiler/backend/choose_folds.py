"""Chooses how many pixels of each tensor share a word, to minimize the estimated cycles of all steps."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.folding import FoldedTaps, can_fold, folded_channels
from arrayloom.compiler.backend.layouts import packed_tiles
from arrayloom.compiler.backend.operations import Convolution, Copy
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.config import Config

LEAST_SAVING = 0.02     # fraction of the cycles of the changed steps; a margin for the error of the estimate
MOST_BLOCKS = 2         # channel blocks that the pixels in a word of a folded tensor may fill

Folds = dict[str, int]  # pixels in a word for each class of tensors; classes that are missing are not folded


def choose_folds(network: Network, config: Config) -> dict[str, int]:
    """Returns the number of pixels in a word for each tensor that is to be folded."""
    chosen = _Search(network, config).run()
    classes = _Classes(network)
    return {name: chosen[classes.of(name)] for name in network.shapes if chosen.get(classes.of(name), 1) > 1}


class _Classes:
    """Classes of tensors that must have the same fold: parts of one tensor, and operands of the same element-wise step."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._parent: dict[str, str] = {}
        self._fixed: set[str] = set()
        for name, parts in (*network.concats.items(), *network.slices.items()):
            self._join(name, *parts)
        for step in network.steps:
            self._add(step)
        self._fix(*(network.root(port.tensor) for port in network.inputs))

    def of(self, name: str) -> str:
        """Returns the name of a tensor's class."""
        while name in self._parent:
            name = self._parent[name]
        return name

    @cached_property
    def fixed(self) -> set[str]:
        """Classes that cannot be folded."""
        return {self.of(name) for name in self._fixed}

    def _add(self, step: Step) -> None:
        residual = step.epilogue.residual
        copied = [residual.tensor] if residual else []
        if type(step.operation) is Copy:
            copied.append(step.x)
        elif not can_fold(step):
            self._fix(step.x, step.output)
        self._join(step.output, *copied)
        # A folded concatenation has its channels in another order than a folded tensor.
        self._fix(*(name for name in copied if name in self.network.concats or name in self.network.virtual_concats))

    def _join(self, name: str, *others: str) -> None:
        for other in others:
            one, two = self.of(name), self.of(other)
            if one != two:
                self._parent[two] = one

    def _fix(self, *names: str) -> None:
        for name in names:
            self._fixed.update(self.network.members(name), (name,))


@dataclass
class _Search:
    """A greedy search: in each round it folds the class that saves most, with the classes that must then be folded too."""

    network: Network
    config: Config
    folds: Folds = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = _Classes(self.network)
        self.estimate = _Estimate(self.network, self.config)
        self.given = {self.network.root(port.tensor) for port in self.network.inputs}
        self.touching: dict[str, list[int]] = defaultdict(list)
        for index, step in enumerate(self.network.steps):
            for name in dict.fromkeys(self.classes.of(name) for name in (step.x, step.output)):
                self.touching[name].append(index)

    def run(self) -> Folds:
        seeds = self._seeds()
        while True:
            found = [(saving, trial) for name, pixels in seeds if (trial := self._folded(name, pixels))
                     and (saving := self._saving(trial)) > 0]
            if not found:
                return self.folds
            self.folds = max(found, key=lambda each: each[0])[1]

    def _seeds(self) -> list[tuple[str, int]]:
        """Returns (class, pixels in a word) for each class whose tensors do not fill their words and each possible fold."""
        least: dict[str, int] = {}
        for step in self.network.steps:
            channels, name = self.network.shapes[step.output][0], self.classes.of(step.output)
            if channels % self.config.size:
                least[name] = min(least.get(name, channels), channels)
        return [(name, 1 << power) for name, channels in least.items() if name not in self.classes.fixed
                for power in range(1, (MOST_BLOCKS * self.config.size // channels).bit_length())]

    def _folded(self, name: str, pixels: int) -> Folds | None:
        """Returns the folds with one more class folded, and its readers' classes as they then require; None if illegal."""
        trial, waiting = dict(self.folds), [(name, pixels)]
        while waiting:
            name, pixels = waiting.pop()
            if trial.get(name, 1) == pixels:
                continue
            if name in self.classes.fixed:
                return None
            trial[name] = pixels
            for step in (self.network.steps[index] for index in self.touching[name]):
                if not can_fold(step):
                    if not self._is_even(step, pixels):
                        return None
                    continue
                before, after = self._pixels(step, trial)
                assert isinstance(step.operation, Convolution)
                stride = step.operation.taps.strides[1]
                if stride and after * stride % before:
                    waiting.append((self.classes.of(step.output), lcm(after, before // gcd(before, stride))))
        legal = all(self._is_legal(self.network.steps[index], trial) for index in self._changed(trial))
        return trial if legal and trial != self.folds else None

    def _pixels(self, step: Step, folds: Folds) -> tuple[int, int]:
        return folds.get(self.classes.of(step.x), 1), folds.get(self.classes.of(step.output), 1)

    def _is_even(self, step: Step, pixels: int) -> bool:
        return self.network.shapes[step.output][2] % pixels == 0

    def _is_legal(self, step: Step, folds: Folds) -> bool:
        before, after = self._pixels(step, folds)
        if self.network.shapes[step.x][2] % before or not self._is_even(step, after):
            return False
        operation = step.operation
        return not isinstance(operation, Convolution) or FoldedTaps.of(operation.taps, before, after) is not None

    def _changed(self, trial: Folds) -> list[int]:
        """Returns the indices of the steps that access a class whose fold differs from the current one."""
        names = [name for name in trial if trial[name] != self.folds.get(name, 1)]
        return sorted({index for name in names for index in self.touching[name]})

    def _saving(self, trial: Folds) -> float:
        """Returns the cycles that a trial saves, less a margin; not positive if it is not worthwhile."""
        steps = [self.network.steps[index] for index in self._changed(trial)]
        now = sum(self.estimate.cycles(step, *self._pixels(step, self.folds)) for step in steps)
        return now - sum(self.estimate.cycles(step, *self._pixels(step, trial)) for step in steps) - LEAST_SAVING * now


@dataclass
class _Estimate:
    """An estimate of a step's cycles: those of the array or of the POST unit, whichever is larger."""

    network: Network
    config: Config
    _known: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given = {self.network.root(port.tensor) for port in self.network.inputs}

    def cycles(self, step: Step, before: int, after: int) -> int:
        key = step.output, before, after
        if key not in self._known:
            channels, height, width = self.network.shapes[step.output]
            pixels = height * width // after
            post = -(-channels * after // self.config.size) * pixels * self.config.groups
            tiles = self._tiles(step, step.operation, before, after) if isinstance(step.operation, Convolution) else 0
            self._known[key] = max(post, tiles * max(pixels, self.config.size))
        return self._known[key]

    def _tiles(self, step: Step, operation: Convolution, before: int, after: int) -> int:
        if not can_fold(step):
            return 0
        folded = FoldedTaps.of(operation.taps, before, after)
        assert folded is not None, step
        size, outputs = self.config.size, len(operation.weight)
        if step.x in self.given:
            blocks = -(-outputs * after // size)
            return packed_tiles(folded.kernel(operation.taps), self.network.shapes[step.x][0], size) * blocks
        sources = self._blocks(step.x, before)
        used = np.zeros((-(-outputs * after // size), sources.shape[1], folded.words), np.bool_)
        for pixel in range(after):
            made = slice(pixel * outputs // size, -(-(pixel + 1) * outputs // size))
            for word, place in zip(folded.word[pixel], folded.pixel[pixel], strict=True):
                used[made, sources[place], word] = True
        first, last = used.argmax(axis=2), used.shape[2] - used[:, :, ::-1].argmax(axis=2)
        repeats = 1 + int(operation.weight.max() > 127 or operation.weight.min() < -128)
        return int((last - first)[used.any(axis=2)].sum()) * operation.taps.kernel[0] * repeats

    def _blocks(self, name: str, pixels: int) -> NDArray[np.bool_]:
        """Returns bool[pixels, blocks]: whether a channel block holds channels of each pixel in a word."""
        size, first = self.config.size, 0
        found: list[tuple[int, int]] = []
        for member in self._leaves(name):
            which, _ = folded_channels(self.network, member, pixels)
            found += zip(which.tolist(), (first + np.arange(len(which)) // size).tolist(), strict=True)
            first += -(-len(which) // size)
        blocks = np.zeros((pixels, first), np.bool_)
        blocks[tuple(zip(*found, strict=True))] = True
        return blocks

    def _leaves(self, name: str) -> list[str]:
        parts = self.network.concats.get(name)
        return [name] if parts is None else [leaf for part in parts for leaf in self._leaves(part)]
