"""Chooses the layout of each tensor: the slots of its channels, and the packing of network inputs."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Convolution, DepthwiseConvolution, Taps, selection
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.layout import Layout, Packing


def pack_inputs(network: Network, size: int) -> None:
    """Packs each network input that a single convolution reads, if the convolution then needs fewer tiles."""
    uses = Counter(name for step in network.steps for name in network.reads(step))
    uses.update(network.kept())
    given = {port.tensor for port in network.inputs}
    for index, step in enumerate(network.steps):
        if step.x in given and uses[step.x] == 1 and isinstance(step.operation, Convolution):
            packed = _pack(network, step, step.operation, size)
            if packed is not None:
                network.steps[index] = packed


def _pack(network: Network, step: Step, operation: Convolution, size: int) -> Step | None:
    """Returns the step on packed words of several pixels, or None if it would not need fewer tiles."""
    channels, _, _ = network.shapes[step.x]
    if operation.group > 1 or operation.selection:
        return None
    plain, row, window = _packings(operation.taps, channels, size)
    if window < min(plain, row):
        return _pack_windows(network, step, operation)
    words = _row_words(operation.taps, channels, size) if row < plain else None
    return None if words is None else _pack_rows(network, step, operation, words)


def packed_tiles(taps: Taps, channels: int, size: int) -> int:
    """Returns the tiles per output block of a dense convolution on a network input, packed if this saves tiles."""
    return min(_packings(taps, channels, size))


def _packings(taps: Taps, channels: int, size: int) -> tuple[int, int, int]:
    """Returns the tiles per output block for words of one pixel, of several pixels of a row, and of whole windows."""
    rows, columns = taps.kernel
    plain = rows * columns * -(-channels // size)
    if taps.dilations != (1, 1) or 0 in taps.strides:   # with stride 0, all outputs read the same pixel
        return plain, plain, plain
    row = _row_words(taps, channels, size)
    return plain, plain if row is None else rows * row.words, -(-rows * columns * channels // size)


@dataclass(frozen=True)
class _RowWords:
    """How a row of a kernel reads packed words: ``words`` words, ``skip`` apart, with ``held`` pixels each."""

    held: int
    words: int
    skip: int


def _row_words(taps: Taps, channels: int, size: int) -> _RowWords | None:
    """Returns the packed words of one row of a kernel, or None if a word would hold only one pixel of it."""
    columns, stride = taps.kernel[1], taps.strides[1]
    held = min(size // channels, columns) if channels <= size else 1
    skip = max(1, held // stride)
    words = 1 if held == columns else -(-(columns - held) // (skip * stride)) + 1
    fits = held >= 2 and (words == 1 or skip * stride <= held)
    return _RowWords(held, words, skip) if fits else None


def _pack_rows(network: Network, step: Step, operation: Convolution, row: _RowWords) -> Step:
    """Returns the step on words of neighbouring pixels in a row; a word begins at each horizontal stride."""
    taps, height = operation.taps, network.shapes[step.x][1]
    width = network.shapes[step.output][2] + (row.words - 1) * row.skip
    network.packings[step.x] = Packing(row.held, taps.strides[1], taps.origin[1], width, 1, 1, 0, height,
                                       operation.padding)
    packed = Taps((taps.kernel[0], row.words), (taps.strides[0], 1), (taps.origin[0], 0), (1, row.skip))
    weight = _pack_weight(operation, row.held, row.skip * taps.strides[1], row.words)
    return replace(step, operation=replace(operation, taps=packed, weight=weight))


def _pack_windows(network: Network, step: Step, operation: Convolution) -> Step:
    """Returns the step as a 1x1 convolution on whole windows: an output position's words hold all pixels of its window."""
    taps = operation.taps
    _, height, width = network.shapes[step.output]
    network.packings[step.x] = Packing(taps.kernel[1], taps.strides[1], taps.origin[1], width, taps.kernel[0],
                                       taps.strides[0], taps.origin[0], height, operation.padding)
    outputs, channels, rows, columns = operation.weight.shape
    weight = operation.weight.transpose(0, 2, 3, 1).reshape(outputs, rows * columns * channels, 1, 1)
    return replace(step, operation=replace(operation, taps=Taps(), weight=np.ascontiguousarray(weight)))


def _pack_weight(operation: Convolution, held: int, distance: int, words: int) -> np.ndarray:
    """Returns weights [M, held * C, kh, words]; each tap of a row is placed in the first word that holds its pixel."""
    outputs, channels, rows, columns = operation.weight.shape
    packed = np.zeros((outputs, held, channels, rows, words), np.int16)
    for tap in range(columns):
        word = max(0, -(-(tap - held + 1) // distance))
        packed[:, tap - word * distance, :, :, word] = operation.weight[:, :, :, tap]
    return packed.reshape(outputs, held * channels, rows, words)


def assign_layouts(network: Network, size: int) -> None:
    """Fills ``network.layouts``; if two operands of an add have different layouts, the array moves one of them.

    Convolutions read and write any layout, since their weights are arranged accordingly. Steps of the POST unit alone keep
    the blocks and slots of their source.
    """
    for port in network.inputs:
        _input_layout(network, port.tensor, size)
    for index, step in enumerate(network.steps):
        network.steps[index] = _place(network, step, size)
        _join_parts(network, size)
    for name, parts in network.slices.items():
        _show_slices(network, name, parts, size)


def read_slots(network: Network, name: str) -> NDArray[np.int64]:
    """Returns int64[input channels of the weights], the slot of each channel of a tensor or, if packed, of each pixel's
    channels."""
    layout = network.layouts[name]
    if layout.packing:
        return np.arange(layout.packing.row_taps * layout.packing.taps * layout.channels)
    return layout.slots()


def _input_layout(network: Network, name: str, size: int) -> None:
    channels, height, width = network.shapes[name]
    packing = network.packings.get(name)
    network.layouts[name] = (Layout.packed(size, channels, height, width, packing) if packing
                             else Layout.canonical(size, channels, height, width))


def _place(network: Network, step: Step, size: int) -> Step:
    """Chooses the layout of the step's output; returns the step, changed if it could not write that layout."""
    channels, height, width = network.shapes[step.output]
    segments: tuple[tuple[int, int], ...] = ((0, channels),)
    if step.x in network.virtual_concats:
        network.layouts[step.x] = _joined(network, step.x, network.virtual_concats[step.x], size)
    if not step.operation.places_channels:
        segments = network.layouts[step.x].segments
    residual = step.epilogue.residual
    if residual:
        wanted = network.layouts[residual.tensor].segments
        if not step.on_array and wanted != segments:
            own = step.operation
            moves = own.on_array if isinstance(own, DepthwiseConvolution) else _relocation(channels)
            step = replace(step, operation=moves)
        segments = wanted
    network.layouts[step.output] = Layout(size, height, width, segments)
    return step


def _relocation(channels: int) -> Convolution:
    """Returns a convolution that copies channels; its weights move them to the slots of the output's layout."""
    return selection(np.arange(channels), channels, Taps())


def _join_parts(network: Network, size: int) -> None:
    """Assigns layouts to the concatenations whose parts all have one."""
    for name, parts in network.concats.items():
        if name not in network.layouts and all(part in network.layouts for part in parts):
            network.layouts[name] = _joined(network, name, parts, size)


def _show_slices(network: Network, name: str, parts: list[str], size: int) -> None:
    """Moves the probes of the steps that compute the slices of a tensor to the slices' blocks in the tensor."""
    network.layouts[name] = _joined(network, name, parts, size)
    first = dict(zip(parts, part_blocks(network, parts), strict=True))
    for index, step in enumerate(network.steps):
        if step.output in first:
            probes = (probe.moved(first[step.output], 0, 0) if probe.tensor == name else probe for probe in step.probes)
            network.steps[index] = replace(step, probes=tuple(probes))


def _joined(network: Network, name: str, parts: list[str], size: int) -> Layout:
    """Returns the layout of a concatenation of ``parts``."""
    _, height, width = network.shapes[name]
    segments: list[tuple[int, int]] = []
    for part, start in zip(parts, part_blocks(network, parts), strict=True):
        segments += [(start * size + slot, count) for slot, count in network.layouts[part].segments]
    return Layout(size, height, width, tuple(segments))


def part_blocks(network: Network, parts: list[str]) -> list[int]:
    """Returns the first block of each part in their concatenation."""
    starts, total = [], 0
    for part in parts:
        starts.append(total)
        total += network.layouts[part].blocks
    return starts


def member_of(network: Network, name: str, block: int) -> tuple[str, int]:
    """Returns the stored tensor that contains a block of ``name``, and the block of ``name`` at which it begins."""
    first = 0
    for member in network.members(name):
        blocks = network.layouts[member].blocks
        if block < first + blocks:
            return member, first
        first += blocks
    raise IndexError(f"'{name}' has no block {block}")


def allocation_root(network: Network, name: str) -> tuple[str, int]:
    """Returns the tensor that memory is allocated for, and the block in it at which ``name`` begins."""
    name, block = network.root(name), 0
    while name in network.parts:
        name, position = network.parts[name]
        block += part_blocks(network, network.concats[name])[position]
    return name, block


def unfolded(network: Network, name: str) -> Layout:
    """Returns the layout of a stored tensor, with its shape in the graph if it is folded."""
    layout, pixels = network.layouts[name], network.folds.get(name, 1)
    if pixels == 1:
        return layout
    segments = tuple((start, count // pixels) for start, count in layout.segments)
    return replace(layout, width=layout.width * pixels, segments=segments, pixels=pixels)
