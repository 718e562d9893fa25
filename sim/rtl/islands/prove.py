"""Proof that an island which is not awake keeps its state, whatever that state is.

For each island Yosys's SAT solver is asked for values with which the island's ``wake`` is 0 and yet the next edge would change
something in it. What the next edge does is written here from the meaning of Yosys's cells (its manual, "Internal cell
library"), not from wake.py. Every value that the logic of ``wake`` reads from the design is left open, which only makes the
claim stronger: it holds for any register with these inputs, and a proof takes seconds for any size of array. Of a memory's
port the claim is that it is not enabled.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.sim.rtl.islands.layout import WAKE_PORT
from arrayloom.sim.rtl.islands.split import Islands
from arrayloom.sim.rtl.islands.state import REGISTERS
from arrayloom.sim.rtl.islands.wake import OWN_CELLS, reset_value
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist, format_bits
from arrayloom.sim.rtl.yosys import run_yosys

SUCCESS = "SAT proof finished - no model found: SUCCESS!"


def unproved(netlist: Netlist, islands: Islands) -> list[str]:
    """Names of the islands of a split netlist that could change while they are not awake; none when all is well."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text("\n".join(_module(netlist, islands)) + "\n")
        proofs = [f"tee -q -o {number}.log sat -prove \\changed_{number} 0" for number in range(len(islands.names))]
        run_yosys(folder, *proofs)
        return [island for number, island in enumerate(islands.names)
                if SUCCESS not in (folder / f"{number}.log").read_text()]


def _module(netlist: Netlist, islands: Islands) -> Iterator[str]:
    """A module of the logic of ``wake`` alone, with an output for each island that is 1 where it fails."""
    cells = [cell for cell in netlist.cells if cell.name.startswith(OWN_CELLS)]
    outputs = {bit for number in range(len(islands.names)) for bit in [(f"\\{WAKE_PORT}{number}", 0)]}
    made = outputs | {bit for cell in cells for bit in cell.ports["Y"]}
    wires = dict(netlist.connections_to(made | set(netlist.output_bits())))
    proof = Proof(netlist)
    for number in range(len(islands.names)):
        proof.claim(number, [state.cell for state, island in islands.members if island == number])
    yield "module \\proof"
    yield from proof.wires([*cells, *proof.cells], wires)
    for cell in [*cells, *proof.cells]:
        yield from cell.lines()
    yield from (f"  connect {format_bits([target])} {format_bits([source])}" for target, source in wires.items())
    yield "end"


class Proof:
    """Cells that say whether the next edge changes an island that is not awake."""

    def __init__(self, netlist: Netlist) -> None:
        self.cells: list[Cell] = []
        self._netlist, self._own = netlist, 0

    def claim(self, island: int, members: list[Cell]) -> None:
        """Drives ``changed_<island>``."""
        changes = [self._changes(cell) for cell in members]
        some = self._cell("$reduce_or", {"A": changes}, 1)
        asleep = self._cell("$not", {"A": [(f"\\{WAKE_PORT}{island}", 0)]}, 1)
        self._cell("$and", {"A": some, "B": asleep}, 1, f"\\changed_{island}")

    def wires(self, cells: list[Cell], connections: dict[Bit, Bit]) -> Iterator[str]:
        """Declarations of every wire that the cells and connections name."""
        bits = [bit for cell in cells for port in cell.ports.values() for bit in port]
        bits += [bit for pair in connections.items() for bit in pair]
        widths: dict[str, int] = {}
        for bit in bits:
            if isinstance(bit, tuple):
                widths[bit[0]] = max(widths.get(bit[0], 0), bit[1] + 1)
        for name, width in widths.items():
            yield f"  wire width {width} {name}"

    def _changes(self, cell: Cell) -> Bit:
        if cell.kind not in REGISTERS:
            return self._cell("$reduce_or", {"A": cell.ports["EN"]}, 1)[0]
        value = cell.ports["Q"]
        after = cell.ports["D"]
        if cell.kind == "$sdffce":
            after = self._enabled(cell, self._reset(cell, after))
        else:
            if "EN" in cell.ports:
                after = self._enabled(cell, after)
            if "SRST" in cell.ports:
                after = self._reset(cell, after)
        return self._cell("$ne", {"A": after, "B": value}, 1)[0]

    def _enabled(self, cell: Cell, after: list[Bit]) -> list[Bit]:
        return self._choose(cell, "EN", after, cell.ports["Q"])

    def _reset(self, cell: Cell, after: list[Bit]) -> list[Bit]:
        return self._choose(cell, "SRST", reset_value(cell), after)

    def _choose(self, cell: Cell, port: str, when_active: list[Bit], otherwise: list[Bit]) -> list[Bit]:
        low, high = (otherwise, when_active) if cell.parameters[f"\\{port}_POLARITY"].endswith("1") else (when_active, otherwise)
        return self._cell("$mux", {"A": low, "B": high, "S": cell.ports[port]}, len(low))

    def _cell(self, kind: str, ports: dict[str, list[Bit]], width: int, name: str | None = None) -> list[Bit]:
        self._own += 1
        output: list[Bit] = [(name or f"$proof${self._own}", bit) for bit in range(width)]
        parameters = {"\\WIDTH": str(width)} if kind == "$mux" else {"\\Y_WIDTH": str(width)}
        if kind != "$mux":
            for port, bits in ports.items():
                parameters |= {f"\\{port}_SIGNED": "0", f"\\{port}_WIDTH": str(len(bits))}
        self.cells.append(Cell(kind, f"$proof_cell${self._own}", parameters, ports | {"Y": output}))
        return output
