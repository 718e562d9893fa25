"""Convolutions whose result is only read slice by slice: each slice is a convolution of its own, so that nothing is moved.

A slice of channels is a selection on the array, one more pass over all pixels. Weights can put the channels of each slice
into blocks of their own at once.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.epilogue import Epilogue
from arrayloom.compiler.backend.fuse import join
from arrayloom.compiler.backend.operations import Convolution, Copy, Taps
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.program import Stage

Channels = NDArray[np.int64]


@dataclass(frozen=True)
class _Slice:
    """A step that selects ``channels`` of what a convolution makes, and the convolution that makes just those."""

    place: int
    channels: Channels
    made: Step


def split_by_slices(network: Network, size: int) -> None:
    """Replaces convolutions that selections alone read by one for each selection, where that takes no more tiles."""
    readers: dict[str, list[int]] = defaultdict(list)
    for place, step in enumerate(network.steps):
        for name in network.reads(step):
            readers[name].append(place)
    steps: list[Step | None] = list(network.steps)
    pieces: dict[int, list[Step]] = {}
    for place, step in enumerate(network.steps):
        if step.output in network.kept() or step.output in network.parts or step.output in network.concats:
            continue
        slices = [_slice(network, step, reader) for reader in readers[step.output]]
        found = [each for each in slices if each is not None]
        if found and len(found) == len(slices) and _pays(step, found, size):
            pieces[place] = _with_probes(network, step, found)
            for each in found:
                steps[each.place] = None
    network.steps = [made for place, step in enumerate(steps) if step is not None for made in pieces.get(place, [step])]


def _slice(network: Network, step: Step, place: int) -> _Slice | None:
    """The slice that a reader of ``step`` takes; None where it does anything else, or the epilogues do not go together."""
    reader, operation = network.steps[place], step.operation
    if type(operation) is not Convolution or operation.group > 1 or operation.selection or step.epilogue.residual:
        return None
    channels = _selected(reader) if network.shapes[reader.output][1:] == network.shapes[step.output][1:] else None
    if channels is None or reader.x != step.output or reader.epilogue.residual:
        return None
    chosen = replace(operation, weight=operation.weight[channels], bias=operation.bias[channels],
                     scale=operation.scale[channels])
    table = step.epilogue.lookup_table
    rows = table if table is None or len(table) == 1 else table[channels]
    first = replace(step, operation=chosen, epilogue=replace(step.epilogue, lookup_table=rows))
    made = _continued(first, reader)
    return None if made is None else _Slice(place, channels, made)


def _continued(first: Step, reader: Step) -> Step | None:
    """``first`` with the epilogue of its reader, a clamp and then a lookup table, at the end of its own."""
    epilogue = reader.epilogue
    parts = [(Stage.OWN, Epilogue(epilogue.low, epilogue.high), reader.sources)]
    if epilogue.lookup_table is not None:
        parts.append((Stage.LOOKUP_TABLE, Epilogue(lookup_table=epilogue.lookup_table), ()))
    made: Step | None = first
    for stage, part, sources in parts:
        shown = tuple(probe for probe in reader.probes if probe.stage is stage)
        step = replace(reader, operation=Copy(), epilogue=part, sources=sources, probes=shown)
        made = None if made is None else join(made, step)
    return made


def _selected(step: Step) -> Channels | None:
    """The channels that a step selects, all pixels in place; None where it does anything else."""
    operation = step.operation
    if type(operation) is not Convolution or not operation.selection or operation.taps != Taps():
        return None
    chosen = operation.weight[:, :, 0, 0]
    return chosen.argmax(axis=1) if (chosen.sum(axis=1) == 1).all() else None


def _pays(step: Step, slices: list[_Slice], size: int) -> bool:
    """Whether the tiles of all slices are no more than those of the whole and of the selections."""
    operation = step.operation
    assert isinstance(operation, Convolution)
    outputs, channels, rows, columns = operation.weight.shape
    each = rows * columns * _blocks(channels, size)
    whole = each * _blocks(outputs, size) + sum(_selection_tiles(slice_.channels, size) for slice_ in slices)
    return sum(each * _blocks(len(slice_.channels), size) for slice_ in slices) <= whole


def _blocks(channels: int, size: int) -> int:
    return -(-channels // size)


def _selection_tiles(channels: Channels, size: int) -> int:
    """Pairs of a block of the result and a block of the source that it takes channels from."""
    return len({(place // size, int(channel) // size) for place, channel in enumerate(channels)})


def _with_probes(network: Network, step: Step, slices: list[_Slice]) -> list[Step]:
    """The steps of the slices, which together show the tensors that the whole showed where they hold all of its channels."""
    order = sorted(slices, key=lambda each: int(each.channels[0]))
    whole = np.concatenate([each.channels for each in order])
    complete = np.array_equal(whole, np.arange(network.shapes[step.output][0]))
    shown = [probe for probe in step.probes if complete and all(probe in each.made.probes for each in order)]
    network.slices |= {probe.tensor: [each.made.output for each in order] for probe in shown}
    return [replace(each.made, probes=tuple(probe for probe in each.made.probes
                                            if probe in shown or probe not in step.probes)) for each in order]
