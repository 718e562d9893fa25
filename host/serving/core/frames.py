"""Frames between the service and a replica: a JSON header followed by blocks of bytes.

A frame is two little-endian integers (32 bits: length of the header; 64 bits: length of all blocks), the header, the
blocks. The header lists the blocks' lengths. Nothing in it is executed, on either side.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.errors import ClosedError

Array = NDArray[Any]
Block = bytes | bytearray | memoryview

PREFIX = struct.Struct("<IQ")


def pack(header: dict[str, Any], blocks: Sequence[Block]) -> list[Block]:
    """The pieces of a frame, to be sent in order."""
    sizes = [len(block) for block in blocks]
    text = json.dumps(header | {"blocks": sizes}).encode()
    return [PREFIX.pack(len(text), sum(sizes)) + text, *blocks]


def unpack(header: bytes, payload: memoryview) -> tuple[dict[str, Any], list[memoryview]]:
    fields = json.loads(header)
    blocks, position = [], 0
    for size in fields.pop("blocks"):
        blocks.append(payload[position:position + size])
        position += size
    return fields, blocks


def describe(arrays: dict[str, Array]) -> tuple[list[dict[str, Any]], list[Block]]:
    """Arrays as entries of a header and blocks."""
    entries = [{"name": name, "dtype": str(array.dtype), "shape": array.shape} for name, array in arrays.items()]
    return entries, [np.ascontiguousarray(array).data.cast("B") for array in arrays.values()]


def restore(entries: list[dict[str, Any]], blocks: Sequence[memoryview]) -> dict[str, Array]:
    """The arrays of ``describe``."""
    return {entry["name"]: np.frombuffer(block, entry["dtype"]).reshape(entry["shape"])
            for entry, block in zip(entries, blocks, strict=True)}


async def receive(reader: asyncio.StreamReader) -> tuple[dict[str, Any], list[memoryview]]:
    """The next frame; raises ``ClosedError``."""
    try:
        length, rest = PREFIX.unpack(await reader.readexactly(PREFIX.size))
        header = await reader.readexactly(length)
        return unpack(header, memoryview(await reader.readexactly(rest)))
    except (asyncio.IncompleteReadError, OSError):
        raise ClosedError from None


def receive_blocking(connection: socket.socket) -> tuple[dict[str, Any], list[memoryview]]:
    """The next frame; raises ``ClosedError``."""
    length, rest = PREFIX.unpack(_exactly(connection, PREFIX.size))
    header = _exactly(connection, length)
    return unpack(bytes(header), _exactly(connection, rest))


def send_blocking(connection: socket.socket, header: dict[str, Any], blocks: Sequence[Block]) -> None:
    """Raises ``ClosedError``."""
    try:
        for piece in pack(header, blocks):
            connection.sendall(piece)
    except OSError:
        raise ClosedError from None


def _exactly(connection: socket.socket, count: int) -> memoryview:
    data = memoryview(bytearray(count))
    position = 0
    while position < count:
        try:
            received = connection.recv_into(data[position:], 0, socket.MSG_WAITALL)
        except OSError:
            received = 0
        if not received:
            raise ClosedError
        position += received
    return data
