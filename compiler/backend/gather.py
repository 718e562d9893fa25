"""Virtual concatenations: convolutions read the parts of a concatenation where they lie, so it is not stored.

A part that must be converted to other bytes can then be copied early, right after its source is computed. A part that
enlarges a smaller tensor by repeating pixels is not stored either: the convolutions read the smaller tensor.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from arrayloom.compiler.backend.operations import Convolution, Copy, Pair, Rearrangement, Taps, is_dense
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.config import Config

WHOLE: Pair = (1, 1)


def gather(network: Network, config: Config, stored: set[str]) -> None:
    """Makes concatenations virtual, except those in ``stored``, if this saves a pass over some part."""
    for name in sorted(network.concats.keys() - stored):
        _Gatherer(network, config, name).run()
    network.steps = _copied_early(network)


class _Gatherer:
    """One concatenation with its parts, the steps that compute them and the steps that read it."""

    def __init__(self, network: Network, config: Config, name: str) -> None:
        self.network, self.config, self.name = network, config, name
        self.parts = network.concats[name]
        self.readers = [step for step in network.steps if name in step.inputs]
        self.makers = {step.output: step for step in network.steps if step.output in self.parts}

    def run(self) -> None:
        enlarged = {part: scale for part in self.parts if (scale := self._scale(part)) != WHOLE}
        copies = [step for step in self.makers.values() if type(step.operation) is Copy and not step.epilogue.residual]
        if not self._can_be_read_apart(bool(enlarged)) or not (enlarged or copies):
            return
        network = self.network
        gathered = network.intermediate(f"{self.name}#parts", network.shapes[self.name])
        network.gathered[self.name] = gathered
        network.virtual_concats[gathered] = [self.makers[part].x if part in enlarged else part for part in self.parts]
        network.scales[gathered] = tuple(enlarged.get(part, WHOLE) for part in self.parts)
        gone = [self.makers[part] for part in enlarged]
        sources = tuple(source for step in gone for source in step.sources)
        network.steps = [self._reading(step, gathered, sources) for step in network.steps if step not in gone]
        del network.concats[self.name]
        for part in self.parts:
            del network.parts[part]

    def _reading(self, step: Step, gathered: str, sources: tuple[int, ...]) -> Step:
        if step.x != self.name:
            return step
        return replace(step, x=gathered, sources=tuple(sorted({*step.sources, *sources})))

    def _can_be_read_apart(self, enlarged: bool) -> bool:
        """Whether only dense convolutions read the concatenation, with 1x1 kernels and whole rows if parts are enlarged."""
        network = self.network
        if self.name in network.kept() or self.name in network.parts or not self.readers:
            return False
        if any(self.name in members for members in network.virtual_concats.values()):
            return False
        if not all(part in self.makers and part not in network.kept() for part in self.parts):
            return False
        _, height, width = network.shapes[self.name]
        rows = self.config.size <= width <= self.config.accumulator_depth
        return all(is_dense(step.operation) and step.inputs.count(self.name) == 1 and step.x == self.name
                   and (not enlarged or (rows and _is_pointwise(network, step, height, width)))
                   for step in self.readers)

    def _scale(self, part: str) -> Pair:
        """Returns how often a part repeats each row and column of a smaller tensor, or (1, 1) if it does not."""
        step, network = self.makers.get(part), self.network
        if step is None or not isinstance(step.operation, Rearrangement) or step.epilogue.changes or step.operation.swapped:
            return WHOLE
        if part in network.kept() or any(part in network.reads(other) for other in network.steps):
            return WHOLE
        channels, height, width = network.shapes[step.x]
        _, rows, columns = network.shapes[part]
        scale = rows // height, columns // width
        chosen = step.operation.weight[:, :, 0, 0]
        straight = (np.array_equal(chosen, np.eye(channels)) and not step.operation.bias.any()
                    and np.array_equal(step.operation.rows, np.arange(rows) // scale[0])
                    and np.array_equal(step.operation.columns, np.arange(columns) // scale[1])
                    and (rows, columns) == (height * scale[0], width * scale[1]))
        given = {network.root(port.tensor) for port in network.inputs}
        return scale if straight and step.x not in network.concats and step.x not in given else WHOLE


def _is_pointwise(network: Network, step: Step, height: int, width: int) -> bool:
    return step.operation.taps == Taps() and network.shapes[step.output][1:] == (height, width)


def _copied_early(network: Network) -> list[Step]:
    """Returns the steps with copies into parts of virtual concatenations moved up.

    Each is placed before the first convolution that follows the step that computes its source.
    """
    made = {step.output for step in network.steps}
    parts = {part for name in network.scales for part in network.virtual_concats[name]}
    other = {name for step in network.steps if step.x not in network.scales for name in network.reads(step)}
    moved = [step for step in network.steps if type(step.operation) is Copy and not step.epilogue.residual
             and step.output in parts - other and step.x in made]
    early: dict[str, list[Step]] = defaultdict(list)
    for step in moved:
        early[step.x].append(step)
    steps: list[Step] = []
    waiting: list[Step] = []
    for step in (step for step in network.steps if step not in moved):
        if isinstance(step.operation, Convolution):
            steps += waiting
            waiting = []
        steps.append(step)
        waiting += early[step.output]
    return steps + waiting
