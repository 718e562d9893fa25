"""The memory of a program: its sections, its constants without duplicates, and the memory map."""

import hashlib
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.bus import FETCH_BUFFER_BYTES, PAGE_BYTES
from arrayloom.isa.instructions import LoadActivations, LoadLookupTable, LoadParameters, LoadWeights, Store

Bytes = NDArray[np.uint8]
Transfer = LoadWeights | LoadParameters | LoadLookupTable | LoadActivations | Store   # instructions that name an address


class Section(Enum):
    """The section that the address of a draft is relative to, until the memory map is known."""

    CONSTANTS = "constants"
    DATA = "data"


@dataclass
class Constants:
    """The constants section: consecutive blobs, each at a multiple of ``alignment`` bytes."""

    alignment: int
    _blobs: list[Bytes] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)
    _size: int = 0

    def add(self, data: Bytes) -> int:
        """Adds ``data`` unless the section already holds the same bytes; returns its offset in the section."""
        digest = hashlib.blake2b(data.data, digest_size=20).digest()
        if digest not in self._places:
            self._places[digest] = self._size
            self._blobs.append(data)
            padding = -data.size % self.alignment
            if padding:
                self._blobs.append(np.zeros(padding, np.uint8))
            self._size += data.size + padding
        return self._places[digest]

    def data(self) -> Bytes:
        return np.concatenate(self._blobs) if self._blobs else np.zeros(0, np.uint8)


@dataclass(frozen=True)
class MemoryMap:
    """The sections' byte offsets from the program's memory base, and the size of the memory in bytes."""

    code: int
    constants: int
    data: int
    size: int

    @classmethod
    def of(cls, code_bytes: int, constant_bytes: int, data_bytes: int) -> "MemoryMap":
        constants = _page(code_bytes + FETCH_BUFFER_BYTES)    # FETCH prefetches up to a buffer beyond the last instruction
        data = _page(constants + constant_bytes)
        return cls(0, constants, data, _page(data + data_bytes))

    def address(self, section: Section, offset: int) -> int:
        """Returns the address of byte ``offset`` of a section."""
        return (self.constants if section is Section.CONSTANTS else self.data) + offset

    def relocate(self, instruction: Transfer, section: Section) -> Transfer:
        """Returns the instruction with its address changed from an offset in ``section`` to one in the program's memory."""
        return instruction.changed(address=self.address(section, instruction.address))


def _page(value: int) -> int:
    return -(-value // PAGE_BYTES) * PAGE_BYTES
