"""What stands for the memory of a simulated system."""

from enum import StrEnum

PLAIN_MEMORY_BYTES = 32 << 20


class SimulatedMemory(StrEnum):
    """``SDRAM``: LiteDRAM's controller and its model of a chip. ``PLAIN``: the memory of the plain simulation of the RTL."""

    SDRAM = "sdram"
    PLAIN = "plain"
