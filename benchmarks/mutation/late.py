"""Counters that begin late, so that a short run reaches bits which otherwise need up to 2**47 cycles.

The planted netlist gets a flag, a bit of the input that chooses the fault. If it is set, a counter is set to the
complement of CYCLE_LIMIT where it is cleared otherwise, so that the host chooses where it begins; if not, nothing changes.
tests/hdl/test_long_counts.py and tests/hdl/test_counters.py do the same to the components alone.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, Units
from arrayloom.isa.instructions import End
from arrayloom.isa.program import Program
from arrayloom.isa.registers import CYCLE_BITS, REGISTER_BITS, Cause, Error, Register, blocks_of, counter_address
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.simulator import RtlSimulator
from benchmarks.mutation.acting import bitwise
from benchmarks.mutation.plant import LATE_BIT, SELECT

REGISTERS = ("cycles", "beats_read", "beats_written", "fetched", *(f"retired_{unit.value}" for unit in CORE_UNITS))
LOW = (1 << REGISTER_BITS) - 1
MEMORIES = "$flatten\\control.\\counters_"
WATCHES = "control.run"     # the module whose only register of 32 bits counts cycles without progress
TINY = PRESETS["tiny"]
BASE = 0x31_2345_6000
RANDOM = 6          # beginnings in addition to the largest
SEEDS = (20, 21)    # of the programs that run
PATIENCE = 300      # WATCHDOG beyond the beginning, where a unit waits for ever
HANGS = 10 * PATIENCE


def beginnings() -> Iterator[int]:
    """All bits set, and random bits below the highest, so that every bit is carried into and set without its neighbours.

    CYCLE_LIMIT is larger than them, and no WATCHDOG beyond one overflows.
    """
    rng = random.Random(1)
    yield (1 << CYCLE_BITS) - 1
    for _ in range(RANDOM):
        bits = rng.getrandbits(CYCLE_BITS - 1) & ~(1 << REGISTER_BITS - 1)
        ones = rng.randrange(5, 32)     # the lowest, from which a carry goes up
        yield bits | (1 << ones) - 1


def add_late(netlist: Netlist) -> None:
    """Lets the counters begin late where the flag is set; raises ``ValueError`` where the netlist has other counters."""
    registers = {f"\\control.{name}" for name in REGISTERS}
    patched = [cell for cell in netlist.cells if _driven(cell) in registers]
    watches = [cell for cell in netlist.cells if cell.kind == "$sdff" and len(cell.ports["Q"]) == REGISTER_BITS
               and cell.attributes.get("\\unit", "").strip('"') == WATCHES]
    muxes = [cell for cell in netlist.cells if cell.kind == "$mux" and cell.name.startswith(MEMORIES)
             and cell.parameters["\\WIDTH"] == str(CYCLE_BITS)]
    if {_driven(cell) for cell in patched} != registers or len(muxes) != len(blocks_of(CORE_UNITS)) or len(watches) != 1:
        raise ValueError(f"{len(patched)} of {len(registers)} counters, {len(muxes)} memories of counters and "
                         f"{len(watches)} counters without progress found")
    late, begin = _beginning(netlist)
    for cell in [*patched, *watches]:
        _begin_late(netlist, cell, late, begin)
    for cell in muxes:      # between what the memory holds and zero, for a counter that has not counted yet
        for place, bit in enumerate(begin):
            if cell.ports["A"][place] == "0":
                cell.ports["A"][place] = bit


def _beginning(netlist: Netlist) -> tuple[Bit, list[Bit]]:
    """The flag, and where counters begin; 0 without the flag."""
    (late,) = netlist.add_wire("\\mutant_late", 1)
    netlist.cells.append(Cell("$dff", "$mutant$late", {"\\CLK_POLARITY": "1", "\\WIDTH": "1"},
                              {"CLK": [("\\clk", 0)], "D": [(f"\\{SELECT}", LATE_BIT)], "Q": [late]}))
    complement, begin = (netlist.add_wire(f"\\mutant_{name}", CYCLE_BITS) for name in ("complement", "begin"))
    limit = netlist.wire("\\control.cycle_limit")
    netlist.cells += [bitwise("$xor", limit, ["1"] * CYCLE_BITS, complement),
                      bitwise("$and", complement, [late] * CYCLE_BITS, begin)]
    return late, begin


def check_late(build: Build) -> None:
    """Runs programs with and without the flag; raises where the counts differ by anything but where they begin."""
    usual, late = replace(build, mutant=0), replace(build, mutant=build.mutant | 1 << LATE_BIT)
    for index, begin in enumerate(beginnings()):
        seed = SEEDS[index % len(SEEDS)]
        for name, one in _counts(late, seed, begin).items():
            count = _usual(usual, seed)[name].count
            wanted = (begin + count) % (1 << one.width) if count or not name.startswith("cause") else 0
            assert one.count == wanted, (seed, hex(begin), name, hex(one.count), count)


def check_late_watchdog(build: Build) -> None:
    """A run without progress ends after as many cycles, wherever their counter begins."""
    usual, late = replace(build, mutant=0), replace(build, mutant=build.mutant | 1 << LATE_BIT)
    wanted = _without_progress(usual, None)
    for begin in list(beginnings())[1:]:
        found = _without_progress(late, begin)
        assert found == wanted, (hex(begin), found, wanted)


@dataclass(frozen=True)
class Count:
    """A counter of ``width`` bits."""

    count: int
    width: int


_known: dict[int, dict[str, Count]] = {}


def _usual(build: Build, seed: int) -> dict[str, Count]:
    """The counters after a usual run without a fault, which is made once."""
    if seed not in _known:
        _known[seed] = _counts(build, seed, None)
    return _known[seed]


def _counts(build: Build, seed: int, begin: int | None) -> dict[str, Count]:
    """Every counter after a run of the program."""
    from board_direct import DirectBoard, complete
    from board_programs import MEMORY_BYTES, Mixed

    found: dict[str, Count] = {}
    with RtlSimulator(build, np.zeros(MEMORY_BYTES, np.uint8), BASE) as simulator:
        complete(_run(DirectBoard(simulator, TINY), Mixed(TINY, seed, 2).program, begin, found))
    return found


async def _run(board: Any, program: Program, begin: int | None, found: dict[str, Count]) -> None:
    from board_runs import LONGEST, WATCHDOG_CYCLES, read_64, start, status

    await _begin(board, begin)
    # beyond the largest beginning there is no number of cycles
    watchdog = 0 if begin == (1 << CYCLE_BITS) - 1 else WATCHDOG_CYCLES + ((begin or 0) & LOW)
    await start(board, program, watchdog=watchdog)
    await board.run(LONGEST)
    assert (await status(board)).done
    for register in (Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN):
        found[register.name] = Count(await read_64(board, register), CYCLE_BITS)
    for address, name in ((Register.FETCHED, "fetched"), *((Register.RETIRED + 4 * unit, unit.name) for unit in CORE_UNITS)):
        found[name] = Count(await board.read_register(address), REGISTER_BITS)
    for block in blocks_of(CORE_UNITS):
        for cause in Cause:
            number = await read_64(board, counter_address(block, cause))
            found[f"cause {cause.name} of {block.name}"] = Count(number, CYCLE_BITS)


async def _begin(board: Any, begin: int | None) -> None:
    """Sets where counters begin, if they begin late."""
    from board_runs import write_64

    if begin is not None:
        await write_64(board, Register.CYCLE_LIMIT, (1 << CYCLE_BITS) - 1 - begin)


def _without_progress(build: Build, begin: int | None) -> tuple[Error, int]:
    """How a run ends in which LOAD waits for a token that nobody gives, and its cycles."""
    from board_direct import DirectBoard, complete
    from board_programs import MEMORY_BYTES

    found: list[tuple[Error, int]] = []
    with RtlSimulator(build, np.zeros(MEMORY_BYTES, np.uint8), BASE) as simulator:
        complete(_wait(DirectBoard(simulator, TINY), begin, found))
    return found[0]


async def _wait(board: Any, begin: int | None, found: list[tuple[Error, int]]) -> None:
    from board_programs import RESULTS, load_words, raw_program
    from board_runs import read_64, start, status

    code = b"".join(one.encode() for one in (load_words(RESULTS, 0, 1, wait=Units.STORE), End()))
    await _begin(board, begin)
    await start(board, raw_program(TINY, code), watchdog=PATIENCE + ((begin or 0) & LOW))
    await board.run(HANGS)
    cycles = await read_64(board, Register.CYCLES)
    found.append(((await status(board)).error, (cycles - (begin or 0)) % (1 << CYCLE_BITS)))


def _driven(cell: Cell) -> str:
    """The wire whose bits a register gives, most of them where faults are planted between."""
    names = Counter(bit[0] for bit in cell.ports.get("Q", ()) if isinstance(bit, tuple))
    return names.most_common(1)[0][0] if names else ""


def _begin_late(netlist: Netlist, cell: Cell, late: Bit, begin: list[Bit]) -> None:
    """What resets the register loads ``begin`` instead where the flag is set."""
    enabled = cell.kind == "$sdffe"
    levels = ("EN", "SRST") if enabled else ("SRST",)
    if cell.kind not in ("$sdff", "$sdffe") or any(cell.parameters[f"\\{name}_POLARITY"] != "1" for name in levels):
        raise ValueError(f"{cell.name}: {cell.kind} is not a register with a reset, and perhaps an enable, that are 1")
    width = len(cell.ports["D"])
    loads, keeps, resets, either, data = (netlist.add_wire(f"\\{kind}_{cell.name}", bits) for kind, bits in (
        ("loads", 1), ("keeps", 1), ("resets", 1), ("either", 1), ("data", width)))
    reset = cell.ports["SRST"]
    netlist.cells += [
        bitwise("$and", reset, [late], loads), Cell("$not", f"$not${cell.name}", {
            "\\A_SIGNED": "0", "\\A_WIDTH": "1", "\\Y_WIDTH": "1"}, {"A": [late], "Y": keeps}),
        bitwise("$and", reset, keeps, resets),
        Cell("$mux", f"$mux${cell.name}", {"\\WIDTH": str(width)},
             {"A": cell.ports["D"], "B": begin[:width], "S": loads, "Y": data})]
    if enabled:
        netlist.cells.append(bitwise("$or", cell.ports["EN"], loads, either))
        cell.ports["EN"] = either
    cell.ports |= {"SRST": resets, "D": data}
