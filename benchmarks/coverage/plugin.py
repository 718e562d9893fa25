"""A pytest plugin: runs tests of one configuration on the instrumented build and records the coverage.

``pytest -p benchmarks.coverage.plugin --coverage-to FOLDER`` leaves Verilator's file of counts and the goals reached.
"""

import json
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from arrayloom.hdl.top import Accelerator
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl import build as building
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.design import CHECKED, COVERAGE, FAST, Design, Variant, accelerator
from arrayloom.sim.rtl.simulator import RtlSimulator
from benchmarks.coverage.functional import pairs
from benchmarks.coverage.recorder import Recorder

KEY = pytest.StashKey[Recorder]()
COUNTS, GOALS = "coverage.dat", "goals.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-to", type=Path, metavar="FOLDER", help="folder for counts and goals")
    parser.addoption("--coverage-config", default="tiny", metavar="NAME", help="configuration whose tests are recorded")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Runs before tests are imported, since they import ``build`` by name."""
    folder = config.getoption("--coverage-to")
    if folder is None:
        raise pytest.UsageError("--coverage-to FOLDER: is missing")
    recorder = Recorder(load_config(config.getoption("--coverage-config")))
    config.stash[KEY] = recorder
    _count_builds(recorder)
    _record_runs(recorder)
    _record_configurations(recorder)


def pytest_unconfigure(config: pytest.Config) -> None:
    recorder, folder = config.stash[KEY], config.getoption("--coverage-to")
    recorder.write_counts(folder / COUNTS)
    (folder / GOALS).write_text(json.dumps({group: sorted(reached) for group, reached in recorder.reached.items()}))


def _count_builds(recorder: Recorder) -> None:
    original = building.build
    counted = accelerator(recorder.config).name

    @wraps(original)
    def build(design: Design, variant: Variant = FAST, *others: Any, **options: Any) -> Build:
        if design.name != counted or variant not in (FAST, CHECKED):
            return original(design, variant, *others, **options)
        options.pop("workload", None)
        recorder.build = original(design, COVERAGE, *others, **options)
        return recorder.build

    building.build = build


def _record_runs(recorder: Recorder) -> None:
    closed, write, read = RtlSimulator.close, RtlSimulator.write_register, RtlSimulator.read_register
    recorder.read_register = read

    @wraps(closed)
    def close(simulator: RtlSimulator) -> None:
        if recorder.counts_for(simulator):
            recorder.close(simulator)
        closed(simulator)

    @wraps(write)
    def write_register(simulator: RtlSimulator, address: int, value: int) -> None:
        if recorder.counts_for(simulator):
            recorder.write(simulator, address, value)
        write(simulator, address, value)

    @wraps(read)
    def read_register(simulator: RtlSimulator, address: int) -> int:
        value: int = read(simulator, address)
        if recorder.counts_for(simulator):
            recorder.read(address, value)
        return value

    RtlSimulator.close, RtlSimulator.write_register = close, write_register     # type: ignore[method-assign]
    RtlSimulator.read_register = read_register                                  # type: ignore[method-assign]


def _record_configurations(recorder: Recorder) -> None:
    original = Accelerator.elaborate

    @wraps(original)
    def elaborate(self: Accelerator, platform: Any) -> Any:
        recorder.reached["configurations"].update(pairs(self.config))
        return original(self, platform)

    Accelerator.elaborate = elaborate
