"""Builds of the copier, made once for all tests, and its simulation with random memory."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, Variant
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import RtlSimulator, Stop

COPIER = Path(__file__).with_name("copier.py")
BASE = 1 << 33
MEMORY_BYTES = 1 << 18
TARGET_OFFSET = MEMORY_BYTES // 2


@pytest.fixture(scope="session")
def copier() -> ModuleType:
    """The module of the device under test."""
    spec = importlib.util.spec_from_file_location("copier", COPIER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["copier"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rtl_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build cache shared by all test processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rtl-cache"


@pytest.fixture(scope="session")
def build_copier(copier: ModuleType, rtl_cache: Path) -> Callable[..., Build]:
    """Builds the copier with words of the given number of bytes."""
    def make(word_bytes: int = 16, variant: Variant = FAST) -> Build:
        return build(copier.design(word_bytes), variant, rtl_cache, report=lambda _: None)

    return make


@pytest.fixture
def fresh_cache(build_copier: Callable[..., Build], rtl_cache: Path, tmp_path: Path) -> Path:
    """A cache with only Verilator's runtime."""
    build_copier()
    shutil.copytree(rtl_cache / "runtime", tmp_path / "cache" / "runtime")
    return tmp_path / "cache"


@pytest.fixture
def fake_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Creates a g++ that comes first on PATH and runs shell commands."""
    def make(commands: str) -> None:
        path = tmp_path / "g++"
        path.write_text(f"#!/bin/sh\n{commands}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return make


@dataclass
class Bench:
    """A simulated copier whose memory was filled with random bytes; ``before`` is a copy of them."""

    simulator: RtlSimulator
    before: np.ndarray
    copier: ModuleType

    def start(self, words: int, burst: int = 4, source: int = 0, target: int = TARGET_OFFSET, **registers: int) -> None:
        """Starts a copy; ``source`` and ``target``: byte addresses from the memory's base, ``registers``: more, by name."""
        low = (1 << 32) - 1
        values = {"SOURCE": BASE + source & low, "SOURCE_HIGH": BASE + source >> 32, "TARGET": BASE + target & low,
                  "TARGET_HIGH": BASE + target >> 32, "COUNT": words, "BURST": burst, **registers, "CONTROL": 1}
        for name, value in values.items():
            self.simulator.write_register(self.copier.Register[name], value)

    def copy(self, words: int, burst: int = 4, **registers: int) -> int:
        """Copies, expects the interrupt, and returns the cycles."""
        self.start(words, burst, **registers)
        begin = self.simulator.cycles
        assert self.simulator.run(100_000) is Stop.IRQ
        return self.simulator.cycles - begin

    def status(self) -> set[str]:
        """Names of the bits set in STATUS."""
        value = self.simulator.read_register(self.copier.Register.STATUS)
        return {bit.name for bit in self.copier.Status if value >> bit & 1}


@pytest.fixture
def open_bench(copier: ModuleType) -> Callable[..., object]:
    """A context manager that opens a ``Bench`` on a build."""
    @contextmanager
    def opened(made: Build, timing: Timing | None = None, seed: int = 0) -> Iterator[Bench]:
        memory = np.random.default_rng(2).integers(0, 256, MEMORY_BYTES, np.uint8)
        with RtlSimulator(made, memory, BASE, timing, seed) as simulator:
            yield Bench(simulator, memory.copy(), copier)

    return opened
