"""A system's description of itself, in a ROM at a fixed address.

A host needs only the port: the ROM holds the addresses of the accelerator's registers and the memory, and how to initialize
the memory. It contains a magic word, the number of bytes and the bytes themselves: JSON, compressed.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from arrayloom.host.runtime.errors import BoardError

MEMORY = 0x4000_0000            # LiteX's address of main memory
CONTROL = 0xA000_0000           # default address of the accelerator's registers
CONTROL_BYTES = 0x1000
DESCRIPTION = CONTROL + CONTROL_BYTES
DESCRIPTION_BYTES = 0x1000
MAGIC = 0x4C4F4F4D              # "LOOM"
FORMAT = 1
WORD = 4

ReadWords = Callable[[int, int], list[int]]
"""Reads 32-bit words, given a byte address and their number."""


@dataclass(frozen=True)
class RegisterWrite:
    """A register of the system to write, and the microseconds to wait afterwards."""

    address: int
    value: int
    wait: int = 0


@dataclass(frozen=True)
class Leveling:
    """Registers for finding the read delay of a DDR3 memory, and the number of settings of each."""

    select: int
    delay_reset: int
    delay_next: int
    bitslip_reset: int
    bitslip_next: int
    modules: int
    delays: int
    bitslips: int


@dataclass(frozen=True)
class Description:
    """A system around one accelerator.

    Attributes
    ----------
    board
        Name of the board, for messages.
    config
        Name of the accelerator's configuration.
    digest
        Digest of the configuration.
    clock_hz
        Clock frequency of accelerator and bus in Hz.
    memory
        Byte address of the memory, for both the bus and the accelerator.
    memory_bytes
        Size of the memory in bytes.
    core_reset
        Address of the register whose bit 0 resets the accelerator's core.
    done
        Address of the register whose bit 0 is the interrupt.
    control
        Address of the accelerator's registers.
    memory_start
        Register writes that initialize the memory; empty if it needs none.
    leveling
        How to find the read delay, for memories that need it.
    """

    board: str
    config: str
    digest: str
    clock_hz: int
    memory: int
    memory_bytes: int
    core_reset: int
    done: int
    control: int = CONTROL
    memory_start: list[RegisterWrite] = field(default_factory=list)
    leveling: Leveling | None = None

    def words(self) -> list[int]:
        """The content of the ROM. Raises ``BoardError`` if it does not fit."""
        data = zlib.compress(json.dumps({"format": FORMAT} | asdict(self)).encode(), 9)
        if len(data) > DESCRIPTION_BYTES - 2 * WORD:
            raise BoardError(f"the description of {self.board} takes {len(data)} bytes and its ROM has {DESCRIPTION_BYTES}; "
                             "shorten the start of the memory")
        padded = data + bytes(-len(data) % WORD)
        body = [int.from_bytes(padded[at:at + WORD], "little") for at in range(0, len(padded), WORD)]
        return [MAGIC, len(data), *body]


def read_description(read: ReadWords, port: str) -> Description:
    """The description of the system at ``port``. Raises ``BoardError`` if it cannot be read."""
    magic, size = read(DESCRIPTION, 2)
    if magic != MAGIC or not 0 < size <= DESCRIPTION_BYTES - 2 * WORD:
        raise BoardError(f"{port}: no system with an Arrayloom accelerator answers there (word {magic:#010x} instead of "
                         f"{MAGIC:#010x} at {DESCRIPTION:#x}); load the bitstream of 'arrayloom board', and check the "
                         "baud rate")
    words = read(DESCRIPTION + 2 * WORD, -(-size // WORD))
    data = b"".join(word.to_bytes(WORD, "little") for word in words)[:size]
    try:
        values: dict[str, Any] = json.loads(zlib.decompress(data))
    except (zlib.error, ValueError):
        raise BoardError(f"{port}: the description of the system is damaged: lower the baud rate, or load the bitstream "
                         "again") from None
    if values.pop("format") != FORMAT:
        raise BoardError(f"{port}: the bitstream is of another version of Arrayloom: build it again with this one")
    starts = [RegisterWrite(**entry) for entry in values.pop("memory_start")]
    leveling = values.pop("leveling")
    return Description(**values, memory_start=starts, leveling=Leveling(**leveling) if leveling else None)
