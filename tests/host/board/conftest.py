"""The simulated system that tests drive as they would a board."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def sdram_port() -> Iterator[str]:
    """The port of a system with the preset tiny and LiteDRAM's controller."""
    from arrayloom.host.board.memories import SimulatedMemory
    from arrayloom.host.board.simulator import running_system
    from arrayloom.isa.config import PRESETS

    with running_system(PRESETS["tiny"], SimulatedMemory.SDRAM) as port:
        yield port
