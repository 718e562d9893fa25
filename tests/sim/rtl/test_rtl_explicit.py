"""Verilog with explicit widths computes the same as before: proved for every operation, sign and width."""

import subprocess
from itertools import product
from pathlib import Path

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from arrayloom.sim.rtl.process import PYTHON
from arrayloom.sim.rtl.verilog import write_plain_verilog, write_verilog

WIDTHS = (1, 3, 5)
SHAPES = [shape(width) for shape in (signed, unsigned) for width in WIDTHS]
PROVE = """
from pyosys import libyosys
design = libyosys.Design()
for command in ("read_verilog before.v", "read_verilog after.v", "proc", "miter -equiv -flatten before after miter",
                "sat -verify -prove trigger 0 miter"):
    libyosys.run_pass(command, design)
"""


class Operations(wiring.Component):
    """Every operation that Amaranth writes with operands of different widths, each result truncated and extended."""

    def __init__(self, changed: bool = False) -> None:
        self._changed = changed
        self._results = {f"{kind}_{a}_{b}": (kind, SHAPES[a], SHAPES[b], width)
                         for kind in ("add", "sub", "mul", "lt", "le", "eq", "ne", "shl", "shr", "neg", "any")
                         for a, b, width in ((a, b, 4) for a, b in product(range(len(SHAPES)), repeat=2))}
        super().__init__({name: Out(width) for name, (*_, width) in self._results.items()}
                         | {f"in_{index}": wiring.In(shape) for index, shape in enumerate(SHAPES)})

    def elaborate(self, platform):
        m = Module()
        for name, (kind, *_) in self._results.items():
            a, b = (getattr(self, f"in_{index}") for index in name.split("_")[1:])
            distance = Signal(2, name=f"{name}_distance")
            m.d.comb += distance.eq(b)
            value = {"add": a + b, "sub": a - b, "mul": a * b, "lt": a < b, "le": a <= b, "eq": a == b, "ne": a != b,
                     "shl": a << distance, "shr": a >> distance, "neg": -a, "any": ~a.any()}[kind]
            m.d.comb += getattr(self, name).eq(value + 1 if self._changed and name == "lt_1_4" else value)
        return m


def _prove(before: Operations, after: Operations, folder: Path) -> subprocess.CompletedProcess[str]:
    write_verilog(before, folder / "before.v", "before")
    write_plain_verilog(after, folder / "after.v", "after")
    return subprocess.run([*PYTHON, "-c", PROVE], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_every_operation_means_the_same(tmp_path: Path) -> None:
    done = _prove(Operations(), Operations(), tmp_path)
    assert done.returncode == 0 and "SAT proof finished - no model found: SUCCESS" in done.stdout, done.stdout[-2000:]
    assert (tmp_path / "before.v").read_text() != (tmp_path / "after.v").read_text()


def test_another_operation_is_found_different(tmp_path: Path) -> None:
    done = _prove(Operations(), Operations(changed=True), tmp_path)
    assert "SAT proof finished - model found: FAIL" in done.stdout
    assert done.returncode != 0
