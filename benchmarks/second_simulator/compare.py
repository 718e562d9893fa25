"""Runs a program on both simulators: figures and faults."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.second_simulator.bench import Case, Outcome, Simulate, differing_bytes, expected_memory, run_case


def compare(case: Case, second: Simulate, first: Simulate) -> dict[str, Any]:
    """Figures of the case on both simulators, and ``faults`` as sentences."""
    begin = time.perf_counter()
    found = _run(case, second)
    seconds = time.perf_counter() - begin
    wanted = _run(case, first)
    differing = differing_bytes(found, expected_memory(case), case.program.configuration.size)
    others = [f"register 0x{address:03x}: {value}, with Verilator {wanted.registers[address]}"
              for address, value in found.registers.items() if value != wanted.registers[address]]
    checks = {f"{differing} bytes of memory differ from the emulator's": differing,
              f"{found.unknown} unknown outputs": found.unknown,
              f"{found.breaches} violations of the bus protocol": found.breaches,
              "the run is not done": not found.status.done, "memory differs from Verilator's": found.memory != wanted.memory}
    return {"name": case.name, "cycles": found.cycles, "verilator_cycles": wanted.cycles, "differing_bytes": differing,
            "unknown_outputs": found.unknown, "seconds": round(seconds, 1),
            "faults": [text for text, bad in checks.items() if bad] + others + found.messages}


def _run(case: Case, simulate: Simulate) -> Outcome:
    with TemporaryDirectory() as folder:
        return run_case(case, simulate, Path(folder))
