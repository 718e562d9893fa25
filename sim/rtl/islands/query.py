"""A small module for Yosys's SAT solver, whose text is the same for equal questions."""

from collections.abc import Callable, Iterable

from arrayloom.sim.rtl.netlist import Bit, Cell, format_bits

CLOCK: Bit = ("\\clock", 0)


class Query:
    """Cells named by their order, on one clock, and an output ``ok`` that is claimed to be 1.

    ``source`` maps a connected bit to its source. An undriven bit is unconstrained.
    """

    def __init__(self, source: Callable[[Bit], Bit]) -> None:
        self._source = source
        self._names: dict[Bit, Bit] = {}
        self._widths: dict[str, int] = {CLOCK[0]: 1, "\\ok": 1}
        self._cells: list[Cell] = []

    def copy(self, cell: Cell, output: str = "Y") -> list[Bit]:
        """Adds a cell of the netlist with its parameters; returns its port ``output`` as bits of the module."""
        ports = {port: [CLOCK] if port == "CLK" else [self.bit(bit) for bit in bits] for port, bits in cell.ports.items()}
        parameters = {name: value.replace("x", "0") for name, value in cell.parameters.items()}
        self._cells.append(Cell(cell.kind, f"$cell${len(self._cells)}", parameters, ports))
        return ports[output]

    def bit(self, bit: Bit) -> Bit:
        """The module's bit for one of the netlist."""
        bit = self._source(bit)
        if isinstance(bit, str):
            return "1" if bit == "1" else "0"
        if bit not in self._names:
            self._names[bit] = self._wire(1)[0]
        return self._names[bit]

    def any(self, bits: Iterable[Bit]) -> Bit:
        """Whether one of ``bits`` of the module is set."""
        return self._logic("$reduce_or", A=list(bits) or ["0"])

    def invert(self, bit: Bit) -> Bit:
        """Not ``bit``."""
        return self._logic("$not", A=[bit])

    def differ(self, left: list[Bit], right: list[Bit]) -> Bit:
        """Whether two words differ."""
        return self._logic("$ne", A=left, B=right)

    def before(self, value: list[Bit]) -> list[Bit]:
        """The value of ``value`` in the previous cycle."""
        output, width = self._wire(len(value)), str(len(value))
        self._cells.append(Cell("$dff", f"$cell${len(self._cells)}", {"\\CLK_POLARITY": "1", "\\WIDTH": width},
                                {"CLK": [CLOCK], "D": value, "Q": output}))
        return output

    def cell(self, kind: str, parameters: dict[str, str], width: int, **ports: list[Bit]) -> list[Bit]:
        """Adds a cell over bits of the module; returns its output, of ``width`` bits."""
        output = self._wire(width)
        self._cells.append(Cell(kind, f"$cell${len(self._cells)}", parameters, {**ports, "Y": output}))
        return output

    def text(self, ok: Bit) -> str:
        """RTLIL of the module after its first line; ``ok`` is the claim."""
        lines = [f"  wire width {width} {name}" for name, width in self._widths.items()]
        lines += [line for cell in self._cells for line in cell.lines()]
        return "\n".join([*lines, f"  connect \\ok {format_bits([ok])}", "end"]) + "\n"

    def _logic(self, kind: str, **ports: list[Bit]) -> Bit:
        parameters = {"\\Y_WIDTH": "1"}
        for port, bits in ports.items():
            parameters |= {f"\\{port}_SIGNED": "0", f"\\{port}_WIDTH": str(len(bits))}
        return self.cell(kind, parameters, 1, **ports)[0]

    def _wire(self, width: int) -> list[Bit]:
        name = f"\\w{len(self._widths)}"
        self._widths[name] = width
        return [(name, bit) for bit in range(width)]
