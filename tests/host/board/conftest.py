"""The simulated systems that tests drive as they would a board."""

from collections.abc import Iterator

import pytest

pytest.importorskip("litex", reason="the extra board is not installed")

from arrayloom.host.board.memories import SimulatedMemory
from arrayloom.host.board.simulator import running_system
from arrayloom.isa.config import PRESETS

TINY = PRESETS["tiny"]


@pytest.fixture(scope="module")
def sdram_port() -> Iterator[str]:
    """Where a system with LiteDRAM's controller is reached."""
    with running_system(TINY, SimulatedMemory.SDRAM) as port:
        yield port
