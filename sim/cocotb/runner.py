"""Runs a bench: one test of a module, in the Python of a separate simulator."""

import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cocotb_tools.config import libs_dir
from cocotb_tools.runner import get_runner

from arrayloom.isa.errors import ArrayloomError
from arrayloom.sim.rtl.verilog import TOP

SETTINGS = "settings.json"
LOG = "simulation.log"
RESULTS = "results.xml"
SHOWN_LINES = 60


class BenchError(ArrayloomError):
    """A bench failed; the message has the failure and the end of the simulation's log."""


def run_bench(simulator: Path, module: Path, test: str, folder: Path, settings: Mapping[str, Any] | None = None,
              seed: int = 0, assertions: bool = True) -> None:
    """Runs the cocotb test ``test`` of the file ``module`` in a simulator of ``arrayloom.sim.cocotb.build.build``.

    ``folder`` takes log and results, and is the bench's working folder. The bench finds ``settings`` (JSON values) with
    ``read_settings``. ``seed`` is used for the bench's ``random`` and for uninitialized hardware state. ``assertions``:
    failed assertions of the design end the simulation.

    Raises ``BenchError`` if the test fails or does not exist.
    """
    (folder / SETTINGS).write_text(json.dumps(dict(settings or {})))
    results = folder / RESULTS
    arguments = ["+verilator+rand+reset+2", f"+verilator+seed+{seed + 1}"]  # a seed of 0 would be replaced by the time
    if not assertions:
        arguments.append("+verilator+noassert")
    try:
        with _importable(module.parent):
            get_runner("verilator").test(
                test_module=module.stem, test_filter=rf"{module.stem}\.{test}$", seed=seed, test_args=arguments,
                hdl_toplevel=TOP, hdl_toplevel_lang="verilog", build_dir=simulator, test_dir=folder,
                results_xml=str(results), log_file=folder / LOG, extra_env=_libraries())
    except (SystemExit, RuntimeError):     # which of them, depends on the version of cocotb
        raise BenchError(_explain(folder, f"{module.stem}.{test} failed")) from None
    cases = list(ElementTree.parse(results).iter("testcase"))
    if len(cases) != 1 or len(cases[0].findall("failure") + cases[0].findall("error")) > 0:
        raise BenchError(_explain(folder, f"{module.stem}.{test}: {len(cases)} tests ran"))


def read_settings() -> dict[str, Any]:
    """Reads, in the bench, the settings given to ``run_bench``."""
    return dict(json.loads(Path(SETTINGS).read_text()))


def _libraries() -> dict[str, str]:
    """Where the simulator finds cocotb's libraries; the environment that built a cached one may no longer exist."""
    others = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": os.pathsep.join([str(libs_dir), *([others] if others else [])])}


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Python's path for the simulator: this one's, without the current folder."""
    before = list(sys.path)
    sys.path[:] = [str(folder), *filter(None, before)]
    try:
        yield
    finally:
        sys.path[:] = before


def _explain(folder: Path, text: str) -> str:
    log = folder / LOG
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([text, *lines[-SHOWN_LINES:]])
