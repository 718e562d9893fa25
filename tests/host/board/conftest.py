"""A simulated system that tests drive like a board."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def sdram_port() -> Iterator[str]:
    """The address of a simulated system: preset tiny with LiteDRAM's controller."""
    from arrayloom.host.board.memories import SimulatedMemory
    from arrayloom.host.board.simulator import running_system
    from arrayloom.isa.config import PRESETS

    with running_system(PRESETS["tiny"], SimulatedMemory.SDRAM) as port:
        yield port
