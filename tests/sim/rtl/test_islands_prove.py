"""The proof of the islands holds for the accelerator, and finds each kind of fault in the wake logic."""

from dataclasses import replace

import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.islands import split as splitting
from arrayloom.sim.rtl.islands import wake
from arrayloom.sim.rtl.islands.partition import Partition, trained_partition
from arrayloom.sim.rtl.islands.prove import unproved
from arrayloom.sim.rtl.islands.split import split
from arrayloom.sim.rtl.islands.state import READ, WRITE, State, find_state
from arrayloom.sim.rtl.islands.wake import OWN_CELLS, Logic, may_change
from arrayloom.sim.rtl.netlist import Bit, Cell, Netlist
from arrayloom.sim.rtl.verilog import widened

CLOCK: list[Bit] = [("\\clk", 0)]
WIDTH = 4


def wire(name: str, width: int = 1) -> list[Bit]:
    return [(f"\\{name}", bit) for bit in range(width)]


def register(kind: str, name: str, **parameters: str) -> Cell:
    """A four-bit register ``name`` with data ``name_d``, enable ``name_en`` and reset ``name_srst``."""
    ports = {"CLK": CLOCK, "D": wire(f"{name}_d", WIDTH), "Q": wire(name, WIDTH)}
    values = {"\\CLK_POLARITY": "1'1", "\\WIDTH": str(WIDTH)}
    if kind.startswith("$sdff"):
        ports["SRST"] = wire(f"{name}_srst")
        values |= {"\\SRST_POLARITY": "1'1", "\\SRST_VALUE": "4'01x0"}
    if kind.endswith("e"):
        ports["EN"] = wire(f"{name}_en")
        values |= {"\\EN_POLARITY": "1'1"}
    return Cell(kind, f"$cell${name}", values | {f"\\{key}": value for key, value in parameters.items()}, ports)


def write_port() -> Cell:
    """A memory port that writes either half of a word."""
    return Cell(WRITE, "$write", {"\\MEMID": '"\\\\memory"', "\\ABITS": "2", "\\WIDTH": str(WIDTH), "\\CLK_ENABLE": "1'1",
                                  "\\CLK_POLARITY": "1'1", "\\PORTID": "0", "\\PRIORITY_MASK": "0'"},
                {"CLK": CLOCK, "ADDR": wire("w_addr", 2), "DATA": wire("w_d", WIDTH),
                 "EN": [bit for half in range(2) for bit in wire(f"w_en{half}") * 2]})


def read_port() -> Cell:
    """A clocked port that reads a memory."""
    return Cell(READ, "$read", {"\\MEMID": '"\\\\table"', "\\ABITS": "2", "\\WIDTH": str(WIDTH), "\\CLK_ENABLE": "1'1",
                                "\\CLK_POLARITY": "1'1", "\\CE_OVER_SRST": "1'0", "\\TRANSPARENCY_MASK": "1'0",
                                "\\COLLISION_X_MASK": "1'0", "\\ARST_VALUE": "4'x", "\\SRST_VALUE": "4'x",
                                "\\INIT_VALUE": "4'x"},
                {"CLK": CLOCK, "ADDR": wire("r_addr", 2), "DATA": wire("r", WIDTH), "EN": wire("r_en"), "ARST": ["0"],
                 "SRST": ["0"]})


CELLS = {
    "plain": lambda: register("$dff", "plain"),
    "enabled": lambda: register("$dffe", "enabled"),
    "enabled_low": lambda: register("$dffe", "enabled_low", EN_POLARITY="1'0"),
    "cleared": lambda: register("$sdff", "cleared"),
    "cleared_low": lambda: register("$sdff", "cleared_low", SRST_POLARITY="1'0"),
    "both": lambda: register("$sdffe", "both"),
    "both_low": lambda: register("$sdffe", "both_low", SRST_POLARITY="1'0", EN_POLARITY="1'0"),
    "under_enable": lambda: register("$sdffce", "under_enable"),
    "under_enable_low": lambda: register("$sdffce", "under_enable_low", SRST_POLARITY="1'0", EN_POLARITY="1'0"),
    "write": write_port,
    "read": read_port,
}


def netlist_of(*cells: Cell) -> Netlist:
    """A module of these cells; undriven nets are inputs."""
    driven = {bit for cell in cells for port, bits in cell.ports.items() if cell.drives(port) for bit in bits}
    widths: dict[str, int] = {}
    for bit in (bit for cell in cells for port in cell.ports.values() for bit in port if isinstance(bit, tuple)):
        widths[bit[0]] = max(widths.get(bit[0], 0), bit[1] + 1)
    lines = [f"  wire width {width} {'' if (name, 0) in driven else f'input {number} '}{name}"
             for number, (name, width) in enumerate(widths.items(), 1)]
    lines += [f"  memory width 4 size 4 \\{name}" for name in ("memory", "table")]
    netlist = Netlist("\n".join(["module \\top", *lines, "end"]))
    netlist.cells += cells
    return netlist


def partition_of(*cells: Cell, by_enable: bool = False) -> Partition:
    """Each cell in its own island, named ``island of`` the cell."""
    keys = {state.key: f"island of {title(state)}" for state in find_state(netlist_of(*cells))}
    return Partition(keys, set(keys) if by_enable else ())


def title(state: State) -> str:
    return state.cell.name.removeprefix("$").removeprefix("cell$")


def proved(*names: str, by_enable: bool = False) -> list[str]:
    """The unproved obligations for a netlist of those cells."""
    cells = [CELLS[name]() for name in names]
    netlist = netlist_of(*cells)
    islands = split(netlist, partition_of(*(CELLS[name]() for name in names), by_enable=by_enable))
    return unproved(netlist, islands.names)


@pytest.mark.parametrize("by_enable", [False, True])
def test_every_kind_is_proved(by_enable):
    assert proved(*CELLS, by_enable=by_enable) == []


@pytest.mark.parametrize("dropped", [0, 1])
def test_a_dropped_term_is_found(monkeypatch, dropped):
    def fewer(state, logic, exact):
        bits = may_change(state, logic, exact)
        return bits[:dropped] + bits[dropped + 1:]

    having = {f"island of {name}" for name, make in CELLS.items()
              if len(may_change(State(make(), "", name), Logic(netlist_of()), True)) > dropped}
    monkeypatch.setattr(splitting, "may_change", fewer)
    assert {found.partition(":")[0] for found in proved(*CELLS)} == having


@pytest.mark.parametrize("port", ["EN", "SRST"])
def test_a_wrong_polarity_is_found(monkeypatch, port):
    def wrong(cell, of, logic, bit=None):
        value = level(cell, of, logic, bit)
        return logic.invert(value) if of == port else value

    level = wake._level
    monkeypatch.setattr(wake, "_level", wrong)
    having = {f"island of {name}" for name, make in CELLS.items()
              if port in make().ports and (port == "EN" or name != "read")}
    assert {found.partition(":")[0] for found in proved(*CELLS)} == having


def test_a_forgotten_reset_is_found(monkeypatch):
    def without(state, logic, exact):
        ports = {port: bits for port, bits in state.cell.ports.items() if port != "SRST"}
        return may_change(replace(state, cell=replace(state.cell, ports=ports)), logic, exact)

    monkeypatch.setattr(splitting, "may_change", without)
    assert {found.partition(":")[0] for found in proved(*CELLS, by_enable=True)} == {
        f"island of {name}" for name in ("cleared", "cleared_low", "both", "both_low")}
    kinds = {name for name, make in CELLS.items() if make().kind == "$sdffce"}
    assert {found.partition(":")[0] for found in proved(*CELLS)} == {
        f"island of {name}" for name in {"cleared", "cleared_low", "both", "both_low"} | kinds}


def test_a_wrong_reset_value_is_found(monkeypatch):
    monkeypatch.setattr(wake, "reset_value", lambda _: ["1"] * WIDTH)
    assert {found.partition(":")[0] for found in proved(*CELLS)} == {
        f"island of {name}" for name in CELLS if name.startswith(("cleared", "both"))}


def test_a_missing_input_of_an_or_is_found(copier):
    """For the copier's wake logic; every input of every OR would take a minute."""
    with widened(copier.design(4).make(), "top") as (_, netlist):
        islands = split(netlist, trained_partition())
    assert unproved(netlist, islands.names) == []
    gates = [cell for cell in netlist.cells if cell.name.startswith(OWN_CELLS) and cell.kind == "$or"]
    assert len(gates) > 20
    for gate in gates[::len(gates) // 3]:
        kept = gate.ports["B"]
        gate.ports["B"] = ["0"]
        assert unproved(netlist, islands.names)
        gate.ports["B"] = kept


def test_a_register_hidden_among_inputs_is_found():
    cell = CELLS["plain"]()
    netlist = netlist_of(cell, register("$dff", "next"))
    cell.ports["D"] = wire("next", WIDTH)
    islands = split(netlist, Partition({"/plain": "inputs.read", "/next": "next"}))
    assert unproved(netlist, islands.names) == ["inputs.read: \\plain"]


def test_a_clock_of_no_island_is_refused():
    netlist = netlist_of(register("$dff", "plain"))
    islands = split(netlist, Partition({}))
    netlist.cells[0].ports["CLK"] = wire("other")
    with pytest.raises(BuildError, match=r"plain of kind \$dff acts on .*other.*, which is the clock of no island"):
        unproved(netlist, islands.names)


@pytest.mark.parametrize("preset", [
    "tiny", "edge", *(pytest.param(name, marks=pytest.mark.slow) for name in PRESETS if name not in ("tiny", "edge"))])
def test_the_accelerator_is_proved(preset):
    with widened(accelerator(PRESETS[preset]).make(), "top") as (_, netlist):
        islands = split(netlist, trained_partition())
    assert len(islands.names) > 20
    assert unproved(netlist, islands.names) == []
