"""Shared by all tests: the real networks and photographs, and a count of the tests that used them."""

import os
from pathlib import Path

import pytest
from checkout import SHARED

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # before NumPy is imported: test processes share the cores


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real networks and photographs; skips the test if it is absent."""
    if not (SHARED / "models").is_dir():
        pytest.skip(f"no networks at {SHARED}: set ARRAYLOOM_DATA to the folder that holds models/ and images/")
    return SHARED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many tests ran on the real networks and photographs."""
    ran = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)
           if report.when == "call" and "data" in report.keywords]
    terminalreporter.write_line(f"tests on real networks and photographs that ran: {len(ran)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks tests that use the data, and deselects slow ones unless requested."""
    chosen = config.getoption("-m")
    left_out = {name: pytest.mark.skip(reason=f"{name}: run with -m {name}") for name in ("slow", "synth")}
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")
        for name, skip in left_out.items():
            if name in item.keywords and name not in chosen:
                item.add_marker(skip)
