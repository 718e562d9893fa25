"""The memories of a simulated system."""

from enum import StrEnum

PLAIN_MEMORY_BYTES = 32 << 20


class SimulatedMemory(StrEnum):
    """``SDRAM`` and ``DDR3``: LiteDRAM's controller and its model of a chip, with the widths and latencies of the ULX3S and
    of the ECPIX-5. ``PLAIN``: the memory of the plain simulation of the RTL."""

    SDRAM = "sdram"
    DDR3 = "ddr3"
    PLAIN = "plain"
