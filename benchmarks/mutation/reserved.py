"""Bits that are 0 in every instruction that reaches a unit, since FETCH rejects all others.

tests/hdl/proofs/test_decoder.py proves this for FETCH, and the session ``reserved_bits`` tries each such bit.
"""

from collections.abc import Iterator, Mapping

from arrayloom.isa.fields import FIELD_BITS, Unit
from arrayloom.isa.instructions import INSTRUCTIONS
from arrayloom.sim.rtl.islands.state import READ
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist

HELD = {unit: f"\\{unit.name.lower()}_issue.unit__instruction__payload" for unit in Unit}
QUEUED = {unit: f"\\{unit.name.lower()}_issue.queue.storage" for unit in Unit}
DECODED = {Unit.ARRAY: "\\array.decoder.fields"}
"""Registers and memories that contain whole instructions."""


def reserved_bits(netlist: Netlist, drivers: Mapping[Bit, Cell], selects: set[Bit]) -> Iterator[Bit]:
    """Those bits at the outputs of registers and memories, before any fault; ``selects`` are the select signals of
    faults."""
    for unit in Unit:
        places = [place for place in range(FIELD_BITS) if not _used(unit) >> place & 1]
        for name in (HELD[unit], *([DECODED[unit]] if unit in DECODED else [])):
            wire = netlist.wire(name)
            yield from (_before_faults(wire[place], drivers, selects) for place in places if place < len(wire))
        for cell in netlist.cells:
            if cell.kind == READ and cell.parameters["\\MEMID"].strip('"').replace("\\\\", "\\") == QUEUED[unit]:
                yield from (cell.ports["DATA"][place] for place in places)


def _used(unit: Unit) -> int:
    """A mask of the bits used by the unit's instructions; of opcodes, those that are set in one of them."""
    mask = 0
    for cls in INSTRUCTIONS:
        if cls.UNIT is unit:
            for spec in cls.specs():
                most = cls.OPCODE if spec.name == "opcode" else spec.most
                mask |= (most if most is not None else (1 << spec.width) - 1) << spec.offset
    return mask


def _before_faults(bit: Bit, drivers: Mapping[Bit, Cell], selects: set[Bit]) -> Bit:
    while bit in drivers and drivers[bit].kind == "$mux" and drivers[bit].ports["S"][0] in selects:
        bit = drivers[bit].ports["A"][0]
    return bit
