"""Builds of the designs under cocotb, once per session, and a fixture that runs benches on them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.sim.cocotb.build import build
from arrayloom.sim.cocotb.runner import run_bench
from arrayloom.sim.rtl.design import Design, accelerator
from arrayloom.sim.rtl.process import ROOT

BENCHES = Path(__file__).parent / "benches"
CONFIG = PRESETS["tiny"]

# Benches run in the simulator's Python, which gets this path; tests refer to them by name.
sys.path.append(str(BENCHES))

RunBench = Callable[..., None]


def bus_side() -> Design:
    """The units that share the memory bus."""
    def make() -> Any:
        from bus_side import BusSide

        return BusSide(CONFIG)

    sources = (ROOT / "isa", ROOT / "hdl", BENCHES / "bus_side.py")
    return Design("bus side tiny", CONFIG.size, CONFIG.digest, sources, make)


@pytest.fixture(scope="session")
def bus_side_simulator() -> Path:
    return build(bus_side())


@pytest.fixture(scope="session")
def board_simulator() -> Path:
    return build(accelerator(CONFIG))


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    """``bench(simulator, module, test, seed, assertions, **settings)`` runs a test of a bench in this test's folder."""
    def run(simulator: Path, module: str, test: str, seed: int = 0, assertions: bool = True, **settings: Any) -> None:
        run_bench(simulator, BENCHES / f"{module}.py", test, tmp_path, settings, seed, assertions)

    return run
