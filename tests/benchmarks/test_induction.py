"""Induction over cycles recognizes faults that only unreachable states or meaningless outputs show, and no others."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.sim.rtl.netlist import Cell, Netlist
from arrayloom.sim.rtl.verilog import NETLIST, flattened
from benchmarks.mutation.induction import Induction
from benchmarks.mutation.plant import Mutant, plant


@pytest.fixture(scope="module", autouse=True)
def recursion_limit() -> Iterator[None]:
    """The prover raises it; hostile input must find the usual one in later tests of the same process."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


class Requests(Component):
    """Counts 0, 1, 2; its address means something only while it is valid, and is loaded in the cycle before with ``go``."""

    go: In(1)
    data: In(4)
    other: In(4)
    axi__arvalid: Out(1)
    axi__araddr: Out(4)
    broken: Out(1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        state = Signal(2)
        m.d.comb += [self.broken.eq(state == 3), self.axi__arvalid.eq(state == 1)]
        with m.If(self.go):
            m.d.sync += state.eq(state + 1)
        with m.If(state == 2):
            m.d.sync += state.eq(0)
        with m.If(state == 0):
            m.d.sync += self.axi__araddr.eq(Mux(self.go, self.data, self.other))
        return m


def _driver(netlist: Netlist, name: str) -> tuple[Cell, str, int]:
    """The cell that drives the first bit of a wire, with port and place."""
    bit = netlist.wire(name)[0]
    for targets, sources in netlist.connections:
        bit = dict(zip(targets, sources, strict=True)).get(bit, bit)
    return next((cell, port, bits.index(bit)) for cell in netlist.cells for port, bits in cell.ports.items()
                if cell.drives(port) and bit in bits)


@pytest.fixture(scope="module")
def planted() -> Iterator[tuple[str, list[Mutant]]]:
    """The netlist with a fault of each kind at three outputs."""
    with flattened(Requests()) as folder:
        netlist, mutants = Netlist((folder / NETLIST).read_text()), []
        for name in ("\\broken", "\\axi__arvalid", "\\axi__araddr"):
            cell, port, place = _driver(netlist, name)
            for mode in ("const0", "const1", "inv"):
                command = f"-mode {mode} -module top -cell {cell.name} -port {port} -portbit {place}"
                mutants.append(Mutant(len(mutants) + 1, "top", f"{name} {mode}", command))
        yield plant(folder, mutants), mutants


def test_values_that_registers_never_have(planted: tuple[str, list[Mutant]]) -> None:
    reached = Induction(Netlist(planted[0])).reached
    found = {len(bits): values for (bits, _), values in zip(reached.groups, reached.values, strict=True)}
    assert found[2] == {0, 1, 2}


def test_only_what_nobody_sees_is_equivalent(planted: tuple[str, list[Mutant]]) -> None:
    """``broken`` is never set; everything else is seen."""
    text, mutants = planted
    proved = Induction(Netlist(text)).equivalent(mutants)
    assert [one.name for one in mutants if one.number in proved] == ["\\broken const0"]


def test_an_address_may_be_wrong_while_it_is_not_valid() -> None:
    """The word loaded without ``go`` is replaced before the address is valid; the one loaded with it is not."""
    with flattened(Requests()) as folder:
        netlist = Netlist((folder / NETLIST).read_text())
        (cell,) = (each for each in netlist.cells if each.kind == "$mux" and each.ports["B"] == netlist.wire("\\data"))
        assert cell.ports["S"] == netlist.wire("\\go")
        mutants = [Mutant(number, "top", port, f"-mode inv -module top -cell {cell.name} -port {port} -portbit 2")
                   for number, port in enumerate("AB", 1)]
        assert Induction(Netlist(plant(folder, mutants))).equivalent(mutants) == {1}
