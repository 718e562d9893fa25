"""Values in unnamed files: written once, mapped by the reader, removed with their last descriptor."""

import mmap
import pickle
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from arrayloom.host.pool.errors import PoolError

ALIGNMENT = 64      # alignment of arrays in numpy
HEADER = struct.Struct("<Q")


def flat(value: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle of a value, and separately the bytes of its arrays, which are not copied."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return body, [buffer.raw() for buffer in buffers]


@contextmanager
def packed(value: Any) -> Iterator[IO[bytes]]:
    """Writes ``value`` to a file that exists as long as the context. The bytes of arrays are written unchanged.

    Raises ``PoolError`` if the folder for temporary files is full.
    """
    body, raw = flat(value)
    with tempfile.TemporaryFile() as file:
        lengths = [len(body), *(part.nbytes for part in raw)]
        table = pickle.dumps(lengths)
        try:
            file.write(HEADER.pack(len(table)) + table)
            for part in (memoryview(body), *raw):
                file.seek(_aligned(file.tell()))
                file.write(part)
            file.flush()
        except OSError as error:
            raise PoolError(f"{sum(lengths):,} bytes for another process cannot be written to {tempfile.gettempdir()} "
                            f"({error}): free some room, or set TMPDIR to a folder that has it") from error
        yield file


def unpacked(descriptor: int) -> Any:
    """The value in that file. Its arrays are read-only views of the mapped file."""
    mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    view = memoryview(mapped)
    begin = HEADER.size + HEADER.unpack_from(view)[0]
    lengths = pickle.loads(view[HEADER.size:begin])
    parts = []
    for length in lengths:
        begin = _aligned(begin)
        parts.append(view[begin:begin + length])
        begin += length
    return pickle.loads(parts[0], buffers=parts[1:])


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
