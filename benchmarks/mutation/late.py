"""Counters that begin near their highest bit, so that a short run reaches bits which otherwise need 2**47 cycles.

The planted netlist gets a flag, a bit of the input that chooses the fault. If it is set, a counter is set to
``begin(width)`` where it is cleared otherwise; if not, nothing changes. tests/hdl/test_long_counts.py and
tests/hdl/test_counters.py do the same to the components alone.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.program import Program
from arrayloom.isa.registers import CYCLE_BITS, REGISTER_BITS, Cause, Register, blocks_of, counter_address
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.simulator import RtlSimulator
from benchmarks.mutation.acting import bitwise
from benchmarks.mutation.plant import LATE_BIT, SELECT

BEFORE = 2      # counts after which every bit of a counter has changed
REGISTERS = ("cycles", "beats_read", "beats_written", "fetched", *(f"retired_{unit.value}" for unit in CORE_UNITS))
MEMORIES = "$flatten\\control.\\counters_"
TINY = PRESETS["tiny"]
BASE = 0x31_2345_6000
SEEDS = (20, 21)        # of the programs that run


def begin(width: int) -> int:
    """All bits between the lowest and the highest are set."""
    return (1 << width - 1) - BEFORE


def add_late(netlist: Netlist) -> None:
    """Lets the counters begin late where the flag is set; raises ``ValueError`` where the netlist has other counters."""
    registers = {f"\\control.{name}" for name in REGISTERS}
    patched = [cell for cell in netlist.cells if _driven(cell) in registers]
    muxes = [cell for cell in netlist.cells if cell.kind == "$mux" and cell.name.startswith(MEMORIES)
             and cell.parameters["\\WIDTH"] == str(CYCLE_BITS)]
    if {_driven(cell) for cell in patched} != registers or len(muxes) != len(blocks_of(CORE_UNITS)):
        raise ValueError(f"{len(patched)} of {len(registers)} counters and {len(muxes)} memories of counters found")
    (late,) = netlist.add_wire("\\mutant_late", 1)
    netlist.cells.append(Cell("$dff", "$mutant$late", {"\\CLK_POLARITY": "1", "\\WIDTH": "1"},
                              {"CLK": [("\\clk", 0)], "D": [(f"\\{SELECT}", LATE_BIT)], "Q": [late]}))
    for cell in patched:
        _begin_late(netlist, cell, late)
    for cell in muxes:      # between what the memory holds and zero, for a counter that has not counted yet
        for place, bit in enumerate(_constant(begin(CYCLE_BITS), CYCLE_BITS)):
            if bit == "1" and cell.ports["A"][place] == "0":
                cell.ports["A"][place] = late


def check_late(build: Build) -> None:
    """Runs programs with and without the flag; raises where the counts differ by anything but where they begin."""
    for seed in SEEDS:
        usual, late = (_counts(replace(build, mutant=mutant), seed) for mutant in (0, build.mutant | 1 << LATE_BIT))
        for name, (count, width) in usual.items():
            wanted = (begin(width) + count) % (1 << width) if count or not name.startswith("cause") else 0
            assert late[name] == (wanted, width), (seed, name, late[name], count)


def _counts(build: Build, seed: int) -> dict[str, tuple[int, int]]:
    """Every counter after a run of the program, with its width."""
    from board_direct import DirectBoard, complete
    from board_programs import MEMORY_BYTES, Mixed

    found: dict[str, tuple[int, int]] = {}
    with RtlSimulator(build, np.zeros(MEMORY_BYTES, np.uint8), BASE) as simulator:
        complete(_run(DirectBoard(simulator, TINY), Mixed(TINY, seed, 2).program, found))
    return found


async def _run(board: Any, program: Program, found: dict[str, tuple[int, int]]) -> None:
    from board_runs import LONGEST, read_64, start, status, write_64

    await write_64(board, Register.CYCLE_LIMIT, 0)      # none, as the cycles begin beyond any
    await start(board, program)
    await board.run(LONGEST)
    assert (await status(board)).done
    for register in (Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN):
        found[register.name] = await read_64(board, register), CYCLE_BITS
    for address, name in ((Register.FETCHED, "fetched"), *((Register.RETIRED + 4 * unit, unit.name) for unit in CORE_UNITS)):
        found[name] = await board.read_register(address), REGISTER_BITS
    for block in blocks_of(CORE_UNITS):
        for cause in Cause:
            found[f"cause {cause.name} of {block.name}"] = await read_64(board, counter_address(block, cause)), CYCLE_BITS


def _driven(cell: Cell) -> str:
    """The wire whose bits a register gives, most of them where faults are planted between."""
    names = Counter(bit[0] for bit in cell.ports.get("Q", ()) if isinstance(bit, tuple))
    return names.most_common(1)[0][0] if names else ""


def _constant(value: int, width: int) -> list[Bit]:
    return [str(value >> place & 1) for place in range(width)]


def _begin_late(netlist: Netlist, cell: Cell, late: Bit) -> None:
    """What resets the register loads ``begin`` instead where the flag is set."""
    if cell.kind != "$sdffe" or any(cell.parameters[f"\\{name}_POLARITY"] != "1" for name in ("EN", "SRST")):
        raise ValueError(f"{cell.name}: {cell.kind} is not a register with a reset and an enable, both 1")
    width = len(cell.ports["D"])
    loads, keeps, resets, enabled, data = (netlist.add_wire(f"\\{kind}_{_driven(cell)[1:]}", bits) for kind, bits in (
        ("loads", 1), ("keeps", 1), ("resets", 1), ("enabled", 1), ("data", width)))
    reset = cell.ports["SRST"]
    netlist.cells += [
        bitwise("$and", reset, [late], loads), Cell("$not", f"$not${cell.name}", {
            "\\A_SIGNED": "0", "\\A_WIDTH": "1", "\\Y_WIDTH": "1"}, {"A": [late], "Y": keeps}),
        bitwise("$and", reset, keeps, resets), bitwise("$or", cell.ports["EN"], loads, enabled),
        Cell("$mux", f"$mux${cell.name}", {"\\WIDTH": str(width)},
             {"A": cell.ports["D"], "B": _constant(begin(width), width), "S": loads, "Y": data})]
    cell.ports |= {"SRST": resets, "EN": enabled, "D": data}
