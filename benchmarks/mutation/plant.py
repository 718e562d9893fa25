"""Plants faults in the flat netlist with Yosys's ``mutate``, all in one netlist, in which a register selects one.

Yosys draws many more candidates than needed, evenly over wires and cells; each unit gets its share of them.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arrayloom.sim.rtl.netlist import Cell, Netlist
from arrayloom.sim.rtl.verilog import NETLIST
from arrayloom.sim.rtl.yosys import run_yosys
from benchmarks.mutation.places import UNITS, Places

SELECT = "mutant_select"        # the input that selects a fault, set by the harness
SELECTED = "mutant"             # the register after it, which takes the input off the logic's path
SELECT_BITS = 16
LATE_BIT = SELECT_BITS - 1      # of the input: a flag, whether counters begin late (late.py)
SHARES = {"control": 16, "fetch": 9, "issue": 10, "load": 9, "array": 11, "post": 24, "store": 8, "scratchpad": 4, "bus": 7,
          "weight_fifo": 1.5, "top": 0.5}
"""Shares of the units in percent, about the square root of their size."""
CANDIDATES = 25         # candidates per wanted mutant, so that small units get their share
NOT_MUTATED = {"$meminit", "$meminit_v2"}
_OPTION = re.compile(r"-(\w+) (\S+)")


@dataclass(frozen=True)
class Mutant:
    """A planted fault.

    Attributes
    ----------
    number
        The number that selects it, from 1.
    unit
        The unit that contains it.
    name
        Signal driven by the cell, kind of the cell, its port, and the change; edits elsewhere do not affect it.
    command
        Options of Yosys's ``mutate``, without those that select it.
    """

    number: int
    unit: str
    name: str
    command: str


def draw_mutants(folder: Path, count: int, seed: int, units: Sequence[str] = UNITS) -> list[Mutant]:
    """Draws ``count`` mutants of the netlist in ``folder`` from those units by their shares; fewer if there are no more."""
    share = sum(SHARES[unit] for unit in units)
    run_yosys(folder, f"mutate -list {round(CANDIDATES * count * 100 / share)} -seed {seed} -o candidates.txt")
    lines = sorted(set((folder / "candidates.txt").read_text().splitlines()))
    random.Random(seed).shuffle(lines)
    netlist = Netlist((folder / NETLIST).read_text())
    cells, places = {cell.name: cell for cell in netlist.cells}, Places(netlist)
    wanted = {unit: count * SHARES[unit] / share for unit in units}
    taken: Counter[str] = Counter()
    mutants: list[Mutant] = []
    names: Counter[str] = Counter()
    for line in lines:
        options = dict(_OPTION.findall(line))
        cell = cells[options["cell"]]
        unit = places.unit(cell)
        if unit in wanted and taken[unit] < wanted[unit] and cell.kind not in NOT_MUTATED and options["port"] != "CLK":
            taken[unit] += 1
            name = _name(places, cell, options)
            names[name] += 1
            name += f" #{names[name]}" if names[name] > 1 else ""
            mutants.append(Mutant(len(mutants) + 1, unit, name, line.removeprefix("mutate ").split(" -wire ")[0]))
    return mutants


def _name(places: Places, cell: Cell, options: dict[str, str]) -> str:
    port, bit = options["port"], int(options["portbit"])
    by = f" by bit {options['ctrlbit']}" if "ctrlbit" in options else ""
    return f"{places.signal(cell, port, bit)} <- {cell.kind.removeprefix('$')}.{port}[{bit}] {options['mode']}{by}"


def plant(folder: Path, mutants: Iterable[Mutant]) -> str:
    """The netlist in ``folder`` with all mutants, in Yosys's JSON."""
    path = folder / NETLIST
    path.write_text(_with_register(path.read_text()))
    run_yosys(folder, *(f"mutate -ctrl {SELECTED} {SELECT_BITS} {one.number} {one.command}" for one in mutants),
              "opt_clean", f"write_rtlil {NETLIST}")
    return path.read_text()


def _with_register(text: str) -> str:
    """The netlist with the input that chooses a mutant, and the register that follows it, which omits the flag."""
    wires = f"  wire width {SELECT_BITS} input 9999 \\{SELECT}\n  wire width {SELECT_BITS} \\{SELECTED}\n"
    number = f"{{ 1'0 \\{SELECT} [{LATE_BIT - 1}:0] }}"
    register = (f"  cell $dff $mutant$register\n    parameter \\CLK_POLARITY 1\n    parameter \\WIDTH {SELECT_BITS}\n"
                f"    connect \\CLK \\clk\n    connect \\D {number}\n    connect \\Q \\{SELECTED}\n  end\n")
    module, _, rest = text.partition("module \\top\n")
    body, _, after = rest.rpartition("end\n")
    return f"{module}module \\top\n{wires}{body}{register}end\n{after}"
