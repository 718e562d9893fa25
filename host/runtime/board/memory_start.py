"""Initializes a system's memory, which on a board with a CPU is done by the firmware.

The description contains the register writes that every memory needs. For DDR3 memory the read delay must also be found:
each setting is tried with words written to memory, and the middle of the longest run of correct settings is used.
"""

import time

from arrayloom.host.runtime.board.description import WORD, Description, Leveling
from arrayloom.host.runtime.board.links import Link
from arrayloom.host.runtime.errors import BoardError

MICROSECOND = 1e-6
PATTERN = [0x00000000, 0xFFFFFFFF, 0x5A5AA5A5, 0x12345678, 0xEDCBA987, 0x0F0FF0F0, 0xAAAAAAAA, 0x55555555]
PATTERN_WORDS = 32


def start_memory(link: Link, system: Description) -> None:
    """Initializes the memory and tests it. Raises ``BoardError`` if it does not return the words written to it."""
    for write in system.memory_start:
        link.write(write.address, [write.value])
        time.sleep(write.wait * MICROSECOND)
    if system.leveling is not None:
        _level(link, system, system.leveling)
    wanted = _pattern()
    for address in (system.memory, system.memory + system.memory_bytes - WORD * len(wanted)):
        link.write(address, wanted)
    for address in (system.memory, system.memory + system.memory_bytes - WORD * len(wanted)):
        found = link.read(address, len(wanted))
        if found != wanted:
            place = next(index for index, word in enumerate(found) if word != wanted[index])
            raise BoardError(f"{link.port}: the memory of {system.board} does not keep what is written to it: at "
                             f"{address + WORD * place:#x} it holds {found[place]:#010x} instead of {wanted[place]:#010x}; "
                             "build for a lower clock, or check that the board has the memory chip of the build")


def _pattern() -> list[int]:
    return (PATTERN * (PATTERN_WORDS // len(PATTERN)))[:PATTERN_WORDS]


def _level(link: Link, system: Description, knobs: Leveling) -> None:
    """Finds bitslip and delay of each byte of the memory's bus, leaving all others unchanged."""
    for module in range(knobs.modules):
        link.write(knobs.select, [1 << module])
        windows = [(_window(link, system, knobs, module, bitslip), bitslip) for bitslip in range(knobs.bitslips)]
        delays, bitslip = max(windows, key=lambda found: len(found[0]))
        if not delays:
            raise BoardError(f"{link.port}: the memory of {system.board} cannot be read at any delay (byte {module} of its "
                             "bus): check the memory chip of the build, or build for a lower clock")
        _set(link, knobs, bitslip, delays[len(delays) // 2])


def _window(link: Link, system: Description, knobs: Leveling, module: int, bitslip: int) -> list[int]:
    """The longest run of delays with which this byte of the bus is read correctly."""
    row: list[int] = []
    best: list[int] = []
    for delay in range(knobs.delays):
        _set(link, knobs, bitslip, delay)
        row = [*row, delay] if _reads_right(link, system, module, knobs.modules) else []
        best = max(best, row, key=len)
    return best


def _set(link: Link, knobs: Leveling, bitslip: int, delay: int) -> None:
    _turn(link, knobs.bitslip_reset, knobs.bitslip_next, bitslip)
    _turn(link, knobs.delay_reset, knobs.delay_next, delay)


def _turn(link: Link, reset: int, step: int, count: int) -> None:
    link.write(reset, [1])
    for _ in range(count):
        link.write(step, [1])


def _reads_right(link: Link, system: Description, module: int, modules: int) -> bool:
    wanted = _pattern()
    link.write(system.memory, wanted)
    mask = sum(0xFF << 8 * byte for byte in range(WORD) if byte % modules == module)
    return all(not (found ^ word) & mask for found, word in zip(link.read(system.memory, len(wanted)), wanted, strict=True))
