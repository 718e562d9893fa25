"""Where each channel of each tensor lies in its words."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.lower_graph import selection
from arrayloom.compiler.backend.steps import Convolution, Network, Step, Taps
from arrayloom.isa.layout import Layout


def assign_layouts(network: Network, size: int) -> None:
    """Fills ``network.layouts``; where two operands of an add lie differently, one is moved by the array.

    Convolutions read and write any layout, since their weights are arranged accordingly; what the POST unit does
    alone, it does block by block.
    """
    for port in network.inputs:
        _input_layout(network, port.tensor, size)
    for index, step in enumerate(network.steps):
        network.steps[index] = _place(network, step, size)
        _join_parts(network, size)


def read_slots(network: Network, name: str) -> NDArray[np.int64]:
    """int64[channels of the weights]: the slot of each channel of a tensor, or of each packed pixel's channel."""
    layout = network.layouts[name]
    if layout.packing:
        return np.arange(layout.packing.taps * layout.channels)
    return layout.slots()


def _input_layout(network: Network, name: str, size: int) -> None:
    channels, height, width = network.shapes[name]
    packing = network.packings.get(name)
    network.layouts[name] = (Layout.packed(size, channels, height, width, packing) if packing
                             else Layout.canonical(size, channels, height, width))


def _place(network: Network, step: Step, size: int) -> Step:
    """Chooses the layout of what the step makes; returns the step that can write it."""
    channels, height, width = network.shapes[step.output]
    segments: tuple[tuple[int, int], ...] = ((0, channels),)
    if step.x in network.gathers:
        network.layouts[step.x] = _joined(network, step.x, network.gathers[step.x], size)
    if not step.on_array:
        segments = network.layouts[step.x].segments
    if step.residual:
        wanted = network.layouts[step.residual.tensor].segments
        if not step.on_array and wanted != segments:
            step = replace(step, operation=_relocation(channels))
        segments = wanted
    network.layouts[step.output] = Layout(size, height, width, segments)
    return step


def _relocation(channels: int) -> Convolution:
    """The same channels; weights put them where the layout wants them."""
    return selection(np.arange(channels), channels, Taps())


def _join_parts(network: Network, size: int) -> None:
    """Layouts of the concatenations whose parts all have one."""
    for name, parts in network.concats.items():
        if name not in network.layouts and all(part in network.layouts for part in parts):
            network.layouts[name] = _joined(network, name, parts, size)


def _joined(network: Network, name: str, parts: list[str], size: int) -> Layout:
    """The layout of tensors one behind the other."""
    _, height, width = network.shapes[name]
    segments: list[tuple[int, int]] = []
    for part, start in zip(parts, part_blocks(network, parts), strict=True):
        segments += [(start * size + slot, count) for slot, count in network.layouts[part].segments]
    return Layout(size, height, width, tuple(segments))


def part_blocks(network: Network, parts: list[str]) -> list[int]:
    """The first block of each of several tensors one behind the other."""
    starts, total = [], 0
    for part in parts:
        starts.append(total)
        total += network.layouts[part].blocks
    return starts


def member_of(network: Network, name: str, block: int) -> tuple[str, int]:
    """The stored tensor that holds a block of ``name``, and the first of its blocks there."""
    first = 0
    for member in network.members(name):
        blocks = network.layouts[member].blocks
        if block < first + blocks:
            return member, first
        first += blocks
    raise IndexError(f"'{name}' has no block {block}")


def allocation_root(network: Network, name: str) -> tuple[str, int]:
    """The tensor that memory is set aside for, and the block in it where ``name`` begins."""
    name, block = network.root(name), 0
    while name in network.parts:
        name, position = network.parts[name]
        block += part_blocks(network, network.concats[name])[position]
    return name, block
