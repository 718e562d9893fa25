"""Arranges convolution weights in tiles, in the order in which the array takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Convolution

Tiles = NDArray[np.int8]    # [input blocks, tap rows, tap columns, repeats, size, size]
Range = tuple[int, int]

@dataclass(frozen=True)
class TileRun:
    """The tiles of one Convolve: input blocks [first, first + blocks), tap rows and tap columns [low, high).

    They occupy ``size`` bytes from ``offset``.
    """

    first: int
    blocks: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    offset: int
    size: int


@dataclass(frozen=True)
class BlockWeights:
    """The tiles of one output block, in consecutive runs."""

    runs: tuple[TileRun, ...]

    @property
    def offset(self) -> int:
        return self.runs[0].offset

    @property
    def size(self) -> int:
        return sum(run.size for run in self.runs)


@dataclass(frozen=True)
class Weights:
    """The tiles of a convolution: ``data`` is ordered by output block, run, input block, tap row, tap column, repeat, row
    and column."""

    data: NDArray[np.uint8]
    blocks: tuple[BlockWeights, ...]
    repeats: int


def arrange(operation: Convolution, inputs: NDArray[np.int64], outputs: NDArray[np.int64], in_blocks: int,
            out_blocks: int, size: int) -> Weights:
    """Returns the tiles of a convolution whose input and output channels have the given slots.

    Input blocks, and rows and columns at the edges of the kernel, are left out if their weights for an output block are all
    zero.
    """
    parts = split(operation.weight)
    dense = operation.group == 1 and not operation.selection
    pieces: list[NDArray[np.uint8]] = []
    blocks: list[BlockWeights] = []
    offset = 0
    for first, tiles in (_dense_tiles(parts, inputs, outputs, in_blocks, out_blocks, size) if dense
                         else _sparse_tiles(operation, parts, inputs, outputs, out_blocks, size)):
        runs = []
        for chosen, block, rows, columns in _needed(tiles, first):
            data = chosen.view(np.uint8).ravel()
            runs.append(TileRun(block, len(chosen), rows, columns, offset, data.size))
            pieces.append(data)
            offset += data.size
        blocks.append(BlockWeights(tuple(runs)))
    return Weights(np.concatenate(pieces), tuple(blocks), len(parts))


def _needed(tiles: Tiles, first: int) -> Iterator[tuple[Tiles, int, Range, Range]]:
    """Yields runs of tiles that are not all zero: the tiles, first input block, tap rows and tap columns."""
    used = np.asarray(tiles.any(axis=(3, 4, 5)))
    if all(np.asarray(used.any(axis=axis))[:, [0, -1]].all() for axis in (1, 2)):
        # Each block has weights at every edge of the kernel.
        yield tiles, first, (0, tiles.shape[1]), (0, tiles.shape[2])
        return
    boxes = [(block, *box) for block, box in enumerate(map(_box, used)) if box]
    runs: list[list[tuple[int, Range, Range]]] = []
    for box in boxes or [(0, (0, 1), (0, 1))]:
        if runs and runs[-1][-1] == (box[0] - 1, *box[1:]):
            runs[-1].append(box)
        else:
            runs.append([box])
    for run in runs:
        block, rows, columns = run[0]
        chosen = tiles[block:block + len(run), rows[0]:rows[1], columns[0]:columns[1]]
        yield np.ascontiguousarray(chosen), first + block, rows, columns


def _box(used: NDArray[np.bool_]) -> tuple[Range, Range] | None:
    """Returns the ranges of rows and columns that contain all set elements, or None if there are none."""
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    return ((int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)) if rows.size else None


def _dense_tiles(parts: list[NDArray[np.int8]], inputs: NDArray[np.int64], outputs: NDArray[np.int64], in_blocks: int,
                 out_blocks: int, size: int) -> Iterator[tuple[int, Tiles]]:
    kernel = parts[0].shape[2:]
    tiles = np.empty((out_blocks, in_blocks, *kernel, len(parts), size, size), np.int8)
    for repeat, part in enumerate(parts):
        spread = np.zeros((out_blocks * size, in_blocks * size, *kernel), np.int8)
        spread[_index(outputs, inputs)] = part
        blocked = spread.reshape(out_blocks, size, in_blocks, size, *kernel)
        tiles[:, :, :, :, repeat] = blocked.transpose(0, 2, 4, 5, 3, 1)
    return ((0, block) for block in tiles)


def _index(outputs: NDArray[np.int64], inputs: NDArray[np.int64]) -> tuple[Any, Any]:
    """Returns the index of the weights at these slots; it consists of slices, which are faster, if there are no gaps."""
    if outputs[-1] == len(outputs) - 1 and inputs[-1] == len(inputs) - 1:
        return slice(0, len(outputs)), slice(0, len(inputs))
    return outputs[:, None], inputs[None, :]


def _sparse_tiles(operation: Convolution, parts: list[NDArray[np.int8]], inputs: NDArray[np.int64],
                  outputs: NDArray[np.int64], out_blocks: int, size: int) -> Iterator[tuple[int, Tiles]]:
    """Yields, for each output block, the tiles from the first to the last input block that it depends on."""
    for index in range(out_blocks):
        chosen = np.flatnonzero(outputs // size == index)
        yield _block_tiles(operation, parts, chosen, inputs, outputs[chosen] % size, size)


def _block_tiles(operation: Convolution, parts: list[NDArray[np.int8]], chosen: NDArray[np.int64],
                 inputs: NDArray[np.int64], columns: NDArray[np.int64], size: int) -> tuple[int, Tiles]:
    """Returns the first input block and the tiles of the output channels ``chosen``."""
    outputs, depth, height, width = operation.weight.shape
    base = chosen // (outputs // operation.group) * depth
    which, tap = np.nonzero(operation.weight[chosen].any(axis=(2, 3)))
    slots = inputs[base[which] + tap]
    first = int(slots.min()) // size if len(slots) else 0
    count = int(slots.max()) // size - first + 1 if len(slots) else 1
    tiles = np.zeros((count, height, width, len(parts), size, size), np.int8)
    for repeat, part in enumerate(parts):
        tiles[slots // size - first, :, :, repeat, slots % size, columns[which]] = part[chosen[which], tap]
    return first, tiles


def split(weight: NDArray[np.int16]) -> list[NDArray[np.int8]]:
    """Splits weights of -255..255 into as few int8 arrays as possible whose sum they are."""
    parts: list[NDArray[np.int8]] = []
    rest = weight
    while not parts or rest.any():
        part = np.clip(rest, -128, 127).astype(np.int8)
        parts.append(part)
        rest = rest - part
    return parts
