"""The simulated system that tests drive as they would a board."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def sdram_port() -> Iterator[str]:
    """Where a system of the preset tiny with LiteDRAM's controller is reached."""
    from arrayloom.host.board.memories import SimulatedMemory
    from arrayloom.host.board.simulator import running_system
    from arrayloom.isa.config import PRESETS

    with running_system(PRESETS["tiny"], SimulatedMemory.SDRAM) as port:
        yield port
