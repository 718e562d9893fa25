"""Yosys's text form of a netlist (RTLIL), read as cells whose connections are single bits, and written back.

The format is in Yosys's manual, "RTLIL text representation". This reads one flat module without processes, as
written by Yosys; everything except cells and connections is kept unchanged.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby

Bit = tuple[str, int] | str
"""A bit of a wire, or a constant: ``0``, ``1``, ``x`` or ``z``."""

PORTS_FROM = 1000
"""First number of added ports, above those of any design."""

_TOKEN = re.compile(r"[{}]|\d+'[01xzm-]*|\[\d+(?::\d+)?\]|-?\d+|[\\$]\S+")


@dataclass
class Cell:
    """A cell; ``parameters`` and ``attributes`` are text, ``ports`` hold bits, lowest first."""

    kind: str
    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    ports: dict[str, list[Bit]] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    def drives(self, port: str) -> bool:
        """Whether the cell drives that port's bits, rather than reading them."""
        return port in ("Y", "Q") or (port == "DATA" and self.kind.startswith("$memrd"))

    def read_bits(self) -> Iterator[Bit]:
        """Every bit that the cell reads, repeated for repeated reads."""
        for port, bits in self.ports.items():
            if not self.drives(port):
                yield from bits

    def lines(self) -> Iterator[str]:
        """The cell in Yosys's text form."""
        yield from (f"  attribute {name} {value}" for name, value in self.attributes.items())
        yield f"  cell {self.kind} {self.name}"
        yield from (f"    parameter {name} {value}" for name, value in self.parameters.items())
        yield from (f"    connect \\{port} {format_bits(bits)}" for port, bits in self.ports.items())
        yield "  end"


class Netlist:
    """One flat module: ``cells``, and ``connections`` as pairs of bits, target first."""

    def __init__(self, text: str) -> None:
        self.cells: list[Cell] = []
        self.connections: list[tuple[list[Bit], list[Bit]]] = []
        self._head: list[str] = []
        self._widths: dict[str, int] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._attributes: list[str] = []
        lines = iter(text.splitlines())
        for line in lines:
            self._read(line, lines)

    def kept_bits(self) -> Iterator[Bit]:
        """Every bit read by something other than a cell: connections of wires, and the module's outputs."""
        for target, source in self.connections:
            yield from target
            yield from source
        yield from self.output_bits()

    def connected_bits(self) -> Iterator[Bit]:
        """Every bit at a port of a cell or in a connection, with repetitions."""
        for cell in self.cells:
            yield from chain.from_iterable(cell.ports.values())
        for target, source in self.connections:
            yield from target
            yield from source

    def output_bits(self) -> Iterator[Bit]:
        """Every bit of the module's outputs."""
        for name in self._outputs:
            yield from self._bits_of(name)

    def connections_to(self, targets: Collection[Bit]) -> Iterator[tuple[Bit, Bit]]:
        """Each bit of ``targets`` driven by a connection, with its source."""
        for target, source in self.connections:
            yield from ((bit, origin) for bit, origin in zip(target, source, strict=True) if bit in targets)

    def inputs(self) -> Iterator[tuple[str, list[Bit]]]:
        """Name, without the backslash, and bits of each input of the module, in order."""
        for name in self._inputs:
            yield name.removeprefix("\\"), self._bits_of(name)

    def replace(self, bits: dict[Bit, Bit]) -> None:
        """Replaces reads of old bits by reads of the new ones."""
        for cell in self.cells:
            for port in cell.ports:
                cell.ports[port] = [bits.get(bit, bit) for bit in cell.ports[port]]
        self.connections = [(target, [bits.get(bit, bit) for bit in source]) for target, source in self.connections]

    def add_wire(self, name: str, width: int) -> list[Bit]:
        """A new wire's bits."""
        self._head.append(f"  wire width {width} {name}")
        self._widths[name] = width
        return self._bits_of(name)

    def add_port(self, direction: str, name: str) -> Bit:
        """Adds a one-bit port after the existing ones; ``direction`` is ``input`` or ``output``."""
        ports = self._inputs if direction == "input" else self._outputs
        self._head.append(f"  wire {direction} {PORTS_FROM + len(self._inputs) + len(self._outputs)} \\{name}")
        self._widths[f"\\{name}"] = 1
        ports.append(f"\\{name}")
        return (f"\\{name}", 0)

    def add_output(self, name: str, source: list[Bit]) -> None:
        """Adds an output after the existing ports, connected to the bits of ``source``."""
        number = PORTS_FROM + len(self._inputs) + len(self._outputs)
        self._head.append(f"  wire width {len(source)} output {number} \\{name}")
        self._widths[f"\\{name}"] = len(source)
        self._outputs.append(f"\\{name}")
        self.connections.append((self._bits_of(f"\\{name}"), source))

    def wire(self, name: str) -> list[Bit]:
        """The bits of a wire, lowest first; empty if there is no such wire."""
        return self._bits_of(name) if name in self._widths else []

    def text(self) -> str:
        """The netlist in Yosys's text form."""
        lines = [*self._head, *(line for cell in self.cells for line in cell.lines())]
        lines += [f"  connect {format_bits(target)} {format_bits(source)}" for target, source in self.connections]
        return "\n".join([*lines, "end"]) + "\n"

    def _read(self, line: str, lines: Iterator[str]) -> None:
        words = line.split(None, 2)
        if line.startswith("  cell "):
            attributes = dict(attribute.split(None, 2)[1:] for attribute in self._attributes)
            self._attributes.clear()
            self.cells.append(self._read_cell(Cell(words[1], words[2], attributes=attributes), lines))
        elif line.startswith("  connect "):
            bits = self._parse_pair(line[len("  connect "):])
            self.connections.append(bits)
        elif line.startswith("  attribute "):
            self._attributes.append(line)
        elif line.startswith(("  wire ", "  memory ", "module ", "attribute ", "autoidx ", "#")):
            self._head += [*self._attributes, line]
            self._attributes.clear()
            self._declare(line)
        elif line != "end":
            raise ValueError(f"unexpected line in the netlist: {line!r}")

    def _declare(self, line: str) -> None:
        if not line.startswith("  wire "):
            return
        options, name = line.split()[1:-1], line.split()[-1]
        self._widths[name] = int(options[options.index("width") + 1]) if "width" in options else 1
        if "input" in options:
            self._inputs.append(name)
        if "output" in options:
            self._outputs.append(name)

    def _read_cell(self, cell: Cell, lines: Iterator[str]) -> Cell:
        for line in lines:
            words = line.split(None, 2)
            if words[0] == "end":
                break
            if words[0] == "parameter":
                cell.parameters[words[1]] = words[2]
            elif words[0] == "connect":
                cell.ports[words[1][1:]] = self._parse(_TOKEN.findall(words[2]))
        return cell

    def _parse_pair(self, text: str) -> tuple[list[Bit], list[Bit]]:
        tokens = _TOKEN.findall(text)
        single = 2 if tokens[1].startswith("[") else 1
        split = tokens.index("}") + 1 if tokens[0] == "{" else single
        return self._parse(tokens[:split]), self._parse(tokens[split:])

    def _parse(self, tokens: list[str]) -> list[Bit]:
        """Bits, lowest first, of a constant, a wire, a slice of one, or a list of those, highest first."""
        parts: list[list[Bit]] = []
        for token in tokens:
            if token.startswith("["):
                high, _, low = token[1:-1].partition(":")
                parts[-1] = parts[-1][int(low or high):int(high) + 1]
            elif "'" in token and token[0].isdigit():
                parts.append(_constant(token))
            elif token[0] in "\\$":
                parts.append(self._bits_of(token))
            elif token not in "{}":
                parts.append([str(int(token) >> bit & 1) for bit in range(32)])
        return [bit for part in reversed(parts) for bit in part]

    def _bits_of(self, name: str) -> list[Bit]:
        return [(name, index) for index in range(self._widths[name])]


def _constant(token: str) -> list[Bit]:
    width, _, digits = token.partition("'")
    fill = digits[0] if digits[:1] in ("x", "z") else "0"
    return list(digits[::-1].ljust(int(width), fill))


def format_bits(bits: Iterable[Bit]) -> str:
    """Bits, given lowest first, in Yosys's text form."""
    def run(item: tuple[int, Bit]) -> tuple[str, int] | str:
        index, bit = item
        return (bit[0], bit[1] - index) if isinstance(bit, tuple) else "constant"

    parts = []
    for key, group in groupby(enumerate(bits), run):
        members = [bit for _, bit in group]
        if isinstance(key, tuple):
            parts.append(f"{key[0]} [{members[-1][1]}:{members[0][1]}]")
        else:
            parts.append(f"{len(members)}'{''.join(str(bit) for bit in reversed(members))}")
    return f"{{ {' '.join(reversed(parts))} }}"
