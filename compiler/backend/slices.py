"""Splits a convolution whose result is only read in slices into one convolution for each slice.

A slice of channels is a selection on the array, which is another pass over all pixels. Separate convolutions write the
channels of each slice to separate blocks directly.
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
    """A slice: the position of the step that selects ``channels``, and the convolution that computes only those."""

    place: int
    channels: Channels
    made: Step


def split_by_slices(network: Network, size: int) -> None:
    """Splits convolutions whose only readers are selections, if this takes no more tiles."""
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
    """Returns the slice that a reader of ``step`` selects, or None if it does anything else or the epilogues cannot be
    merged."""
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
    """Appends the epilogue of the reader, a clamp and a lookup table, to that of ``first``; returns None if impossible."""
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
    """Returns the channels that a step selects, or None if it does anything else, such as moving pixels."""
    operation = step.operation
    if type(operation) is not Convolution or not operation.selection or operation.taps != Taps():
        return None
    chosen = operation.weight[:, :, 0, 0]
    return chosen.argmax(axis=1) if (chosen.sum(axis=1) == 1).all() else None


def _pays(step: Step, slices: list[_Slice], size: int) -> bool:
    """Whether the slices need at most as many tiles as the whole convolution and the selections."""
    operation = step.operation
    assert isinstance(operation, Convolution)
    outputs, channels, rows, columns = operation.weight.shape
    each = rows * columns * _blocks(channels, size)
    whole = each * _blocks(outputs, size) + sum(_selection_tiles(slice_.channels, size) for slice_ in slices)
    return sum(each * _blocks(len(slice_.channels), size) for slice_ in slices) <= whole


def _blocks(channels: int, size: int) -> int:
    return -(-channels // size)


def _selection_tiles(channels: Channels, size: int) -> int:
    """Returns the tiles of a selection: the pairs of a result block and a source block that it takes channels from."""
    return len({(place // size, int(channel) // size) for place, channel in enumerate(channels)})


def _with_probes(network: Network, step: Step, slices: list[_Slice]) -> list[Step]:
    """Returns the steps of the slices; they keep the probes of the whole if together they have all of its channels."""
    order = sorted(slices, key=lambda each: int(each.channels[0]))
    whole = np.concatenate([each.channels for each in order])
    complete = np.array_equal(whole, np.arange(network.shapes[step.output][0]))
    shown = [probe for probe in step.probes if complete and all(probe in each.made.probes for each in order)]
    network.slices |= {probe.tensor: [each.made.output for each in order] for probe in shown}
    return [replace(each.made, probes=tuple(probe for probe in each.made.probes
                                            if probe in shown or probe not in step.probes)) for each in order]
