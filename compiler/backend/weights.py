"""Convolution weights as tiles, in the order in which the array takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Convolution


@dataclass(frozen=True)
class BlockWeights:
    """The tiles of one output block: of input blocks [first, first + blocks), ``size`` bytes from ``offset`` on."""

    first: int
    blocks: int
    offset: int
    size: int


@dataclass(frozen=True)
class Weights:
    """Tiles of a whole convolution: uint8 ``data``, output block by output block, input block, tap row, tap column,
    repeat, row, column."""

    data: NDArray[np.uint8]
    blocks: tuple[BlockWeights, ...]
    repeats: int


def arrange(operation: Convolution, inputs: NDArray[np.int64], outputs: NDArray[np.int64], in_blocks: int,
            out_blocks: int, size: int) -> Weights:
    """The tiles for channels of x in slots ``inputs`` and results in slots ``outputs``."""
    if operation.group == 1 and not operation.selection:
        return _arrange_dense(operation.weight, inputs, outputs, in_blocks, out_blocks, size)
    return _arrange_sparse(operation, inputs, outputs, out_blocks, size)


def _arrange_dense(weight: NDArray[np.int16], inputs: NDArray[np.int64], outputs: NDArray[np.int64], in_blocks: int,
                   out_blocks: int, size: int) -> Weights:
    parts = split(weight)
    tiles = np.empty((out_blocks, in_blocks, *weight.shape[2:], len(parts), size, size), np.int8)
    for repeat, part in enumerate(parts):
        spread = np.zeros((out_blocks * size, in_blocks * size, *weight.shape[2:]), np.int8)
        spread[_index(outputs, inputs)] = part
        blocked = spread.reshape(out_blocks, size, in_blocks, size, *weight.shape[2:])
        tiles[:, :, :, :, repeat] = blocked.transpose(0, 2, 4, 5, 3, 1)
    data = tiles.view(np.uint8).ravel()
    each = data.size // out_blocks
    blocks = tuple(BlockWeights(0, in_blocks, index * each, each) for index in range(out_blocks))
    return Weights(data, blocks, len(parts))


def _index(outputs: NDArray[np.int64], inputs: NDArray[np.int64]) -> tuple[Any, Any]:
    """Rows and columns at these slots; as slices, which copy faster, where no slot is left out."""
    if outputs[-1] == len(outputs) - 1 and inputs[-1] == len(inputs) - 1:
        return slice(0, len(outputs)), slice(0, len(inputs))
    return outputs[:, None], inputs[None, :]


def _arrange_sparse(operation: Convolution, inputs: NDArray[np.int64], outputs: NDArray[np.int64], out_blocks: int,
                    size: int) -> Weights:
    """Only the input blocks between the first and the last that an output block depends on."""
    parts = split(operation.weight)
    pieces, blocks, offset = [], [], 0
    for index in range(out_blocks):
        chosen = np.flatnonzero(outputs // size == index)
        first, tiles = _sparse_tiles(operation, parts, chosen, inputs, outputs[chosen] % size, size)
        pieces.append(tiles.view(np.uint8).ravel())
        blocks.append(BlockWeights(first, len(tiles), offset, tiles.size))
        offset += tiles.size
    return Weights(np.concatenate(pieces), tuple(blocks), len(parts))


def _sparse_tiles(operation: Convolution, parts: list[NDArray[np.int8]], chosen: NDArray[np.int64],
                  inputs: NDArray[np.int64], columns: NDArray[np.int64], size: int) -> tuple[int, NDArray[np.int8]]:
    """First input block and int8[blocks, kh, kw, repeats, size, size] of the output channels ``chosen``."""
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
    """int8 arrays, as few as possible, that sum up to weights of -255..255."""
    parts: list[NDArray[np.int8]] = []
    rest = weight
    while not parts or rest.any():
        part = np.clip(rest, -128, 127).astype(np.int8)
        parts.append(part)
        rest = rest - part
    return parts
