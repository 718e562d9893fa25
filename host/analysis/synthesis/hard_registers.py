"""Moves registers into the hard blocks of an ECP5: Yosys leaves those at the ends of products and memories in the fabric.

A MULT18X18D has a register for each operand and one for the product (Lattice FPGA-TN-02205, sysDSP), a DP16KD one for
each port's word (FPGA-TN-02204, sysMEM). A register outside costs wires and most of a cycle in the block. A register
is moved only if its behaviour stays the same: it has no reset, starts at zero like the block, and the block can
use the same clock and enable.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MULTIPLIER, MEMORY, FLIP_FLOP = "MULT18X18D", "DP16KD", "TRELLIS_FF"
OPERAND_BITS, PRODUCT_BITS, WORD_BITS = 18, 36, 18
SIDES = "AB"        # operands of a product, and ports of a memory
_ALWAYS = "1"
# The open database of the device does not document which of the multiplier's four enables the product's register uses; all
# others use the last one by default. Therefore both the first and the last are driven.
_ENABLES = {"OUTPUT": ("CE0", "CE3"), "INPUTA": ("CE1",), "INPUTB": ("CE2",)}
_RESETS = ("RST0", "RST1", "RST2", "RST3")

Bit = int | str
Cell = dict[str, Any]


@dataclass(frozen=True)
class Register:
    """A flip-flop without reset: clock, enable, input and output."""

    cell: str
    clock: Bit
    enable: Bit
    data: Bit
    output: Bit


@dataclass(frozen=True)
class Moved:
    """Moved register bits by destination; ``removed``: flip-flops that disappeared, fewer if others also read an operand's
    register."""

    operand_bits: int
    product_bits: int
    word_bits: int
    removed: int

    @property
    def bits(self) -> int:
        """The total."""
        return self.operand_bits + self.product_bits + self.word_bits


def absorb(netlist: dict[str, Any], top: str) -> Moved:
    """Moves registers at the ends of products and memories into their blocks; modifies ``netlist``.

    Either both operands of a product move or none: nextpnr times a block with one registered operand like one with none. A
    register with other readers is duplicated: the original stays.

    Parameters
    ----------
    netlist : dict
        Yosys's ``write_json`` after mapping to the device's cells.
    top : str
        The module.

    Returns
    -------
    Moved
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    wires = _Wires(cells, (bit for port in module["ports"].values() for bit in port["bits"]))
    products = sum(_absorb_product(cell, wires) for cell in cells.values() if cell["type"] == MULTIPLIER)
    operands = sum(_absorb_operands(cell, wires) for cell in cells.values() if cell["type"] == MULTIPLIER)
    words = sum(_absorb_word(cell, side, wires) for cell in cells.values() if cell["type"] == MEMORY for side in SIDES)
    unread = list(wires.unread())
    for name in unread:
        del cells[name]
    return Moved(operands, products, words, len(unread))


class _Wires:
    """For each net, the registers that drive and read it, and the number of readers."""

    def __init__(self, cells: dict[str, Cell], ports: Iterable[Bit]) -> None:
        self.driver: dict[Bit, Register] = {}
        self.reader: dict[Bit, Register] = {}
        self.readers: Counter[Bit] = Counter(ports)
        for name, cell in cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    self.readers.update(bits)
            if register := _register(name, cell):
                self.driver[register.output] = register
                self.reader[register.data] = register
        self.taken: list[Register] = []

    def only_reader(self, bit: Bit) -> Register | None:
        """The register that reads ``bit``, if it is the only reader."""
        return self.reader.get(bit) if self.readers[bit] == 1 else None

    def replace(self, register: Register) -> None:
        """The block drives the register's output; the register is removed."""
        self.taken.append(register)
        del self.driver[register.output]

    def bypass(self, register: Register) -> None:
        """The block reads the register's input instead of its output."""
        self.taken.append(register)
        self.readers[register.output] -= 1
        self.readers[register.data] += 1

    def unread(self) -> Iterator[str]:
        """The moved registers without remaining readers."""
        for register in dict.fromkeys(self.taken):
            if self.driver.get(register.output) is not register or not self.readers[register.output]:
                yield register.cell


def _register(name: str, cell: Cell) -> Register | None:
    """The cell as a register that a block can hold; None if it cannot."""
    if cell["type"] != FLIP_FLOP:
        return None
    parameters, wires = cell["parameters"], {port: bits[0] for port, bits in cell["connections"].items() if bits}
    plain = (parameters.get("REGSET", "RESET") == "RESET" and parameters.get("CLKMUX", "CLK") == "CLK"
             and wires.get("LSR", "0") == "0" and parameters.get("LSRMUX", "LSR") == "LSR" and "M" not in wires)
    enable = {"CE": wires.get("CE", _ALWAYS), "1": _ALWAYS}.get(parameters.get("CEMUX", "CE").strip())
    if not plain or enable is None:
        return None
    return Register(name, wires["CLK"], enable, wires["DI"], wires["Q"])


def _shared(registers: Iterable[Register | None]) -> tuple[Bit, Bit] | None:
    """The common clock and enable; None if a register is missing or they differ."""
    kinds = {(register.clock, register.enable) if register else None for register in registers}
    return kinds.pop() if len(kinds) == 1 else None


def _outputs(cell: Cell, port: str, count: int, wires: _Wires) -> dict[str, Register | None]:
    """For each used output, the register that is its only reader."""
    bits = {f"{port}{index}": cell["connections"].get(f"{port}{index}") for index in range(count)}
    return {name: wires.only_reader(bit[0]) for name, bit in bits.items() if bit and wires.readers[bit[0]]}


def _replace(cell: Cell, registers: dict[str, Register | None], wires: _Wires) -> int:
    """The block's outputs replace those of the registers; returns their number."""
    for port, register in registers.items():
        if register is not None:
            cell["connections"][port] = [register.output]
            wires.replace(register)
    return len(registers)


def _absorb_product(cell: Cell, wires: _Wires) -> int:
    registers = _outputs(cell, "P", PRODUCT_BITS, wires)
    if (shared := _shared(registers.values())) is None:
        return 0
    _configure(cell, "OUTPUT", *shared)
    return _replace(cell, registers, wires)


def _absorb_operands(cell: Cell, wires: _Wires) -> int:
    found = {}
    for side in SIDES:
        bits = {port: cell["connections"][port][0] for port in (f"{side}{index}" for index in range(OPERAND_BITS))}
        registers = {port: wires.driver.get(bit) for port, bit in bits.items() if bit != "0"}
        if (shared := _shared(registers.values())) is None:
            return 0
        found[side] = registers, shared
    if len({clock for _, (clock, _) in found.values()} | set(cell["connections"].get("CLK0", []))) != 1:
        return 0
    for side, (registers, shared) in found.items():
        for port, register in registers.items():
            if register is not None:
                cell["connections"][port] = [register.data]
                wires.bypass(register)
        _configure(cell, f"INPUT{side}", *shared)
    return sum(len(registers) for registers, _ in found.values())


def _configure(cell: Cell, place: str, clock: Bit, enable: Bit) -> None:
    """Turns on a multiplier's register at ``place``; its reset is never used."""
    enables = _ENABLES[place]
    cell["parameters"] |= {f"REG_{place}_CLK": "CLK0", f"REG_{place}_CE": enables[0], f"REG_{place}_RST": _RESETS[0]}
    for port, bit in {"CLK0": clock, **dict.fromkeys(enables, enable), **dict.fromkeys(_RESETS, "0")}.items():
        cell["connections"][port] = [bit]
        cell["port_directions"][port] = "input"


def _absorb_word(cell: Cell, side: str, wires: _Wires) -> int:
    connections, parameters = cell["connections"], cell["parameters"]
    registers = _outputs(cell, f"DO{side}", WORD_BITS, wires)
    shared = _shared(registers.values())
    free = parameters.get(f"REGMODE_{side}") == "NOREG" and connections.get(f"RST{side}", ["0"]) == ["0"]
    if not free or shared is None or [shared[0]] != connections.get(f"CLK{side}"):
        return 0
    parameters[f"REGMODE_{side}"] = "OUTREG"
    connections[f"OCE{side}"] = [shared[1]]
    return _replace(cell, registers, wires)
