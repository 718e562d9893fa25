"""Constants in memory, equal ones once; and the map of the whole memory."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.stream import Address, Section

PAGE = 4096
FETCH_AHEAD = 1024  # zero bytes behind the last instruction, which the fetch unit may read

Bytes = NDArray[np.uint8]


@dataclass
class Constants:
    """Blobs one behind the other, each at a multiple of ``alignment`` bytes."""

    alignment: int
    _blobs: list[Bytes] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)
    _size: int = 0

    def add(self, data: Bytes) -> Address:
        """The place of ``data``; the same as before when it has been added already."""
        digest = hashlib.blake2b(data.data, digest_size=20).digest()
        if digest not in self._places:
            self._places[digest] = self._size
            self._blobs.append(data)
            padding = -data.size % self.alignment
            if padding:
                self._blobs.append(np.zeros(padding, np.uint8))
            self._size += data.size + padding
        return Address(Section.CONSTANTS, self._places[digest])

    def data(self) -> Bytes:
        return np.concatenate(self._blobs) if self._blobs else np.zeros(0, np.uint8)


@dataclass(frozen=True)
class MemoryMap:
    """Byte offsets from the program's memory base."""

    code: int
    constants: int
    data: int
    size: int

    @classmethod
    def of(cls, code_bytes: int, constant_bytes: int, data_bytes: int) -> "MemoryMap":
        constants = _page(code_bytes + FETCH_AHEAD)
        data = _page(constants + constant_bytes)
        return cls(0, constants, data, _page(data + data_bytes))

    def resolve(self, address: Address) -> int:
        start = self.constants if address.section is Section.CONSTANTS else self.data
        return start + address.offset


def _page(value: int) -> int:
    return -(-value // PAGE) * PAGE
