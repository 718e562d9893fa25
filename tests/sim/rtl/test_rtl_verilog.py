"""Amaranth to Verilog: what is kept, removed and refused."""

import re
from contextlib import nullcontext

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Assert, ClockDomain, Format, Fragment, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from arrayloom.sim.rtl import verilog
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.verilog import write_fast_verilog, write_sleepless_verilog, write_verilog


class Store(wiring.Component):
    """A memory, an inner module, an assertion."""

    address: In(6)
    data: In(8)
    write: In(1)
    result: Out(8)

    def __init__(self, init=(), domain=None):
        self._init, self._domain = init, domain
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        if self._domain is not None:
            m.domains.sync = self._domain
        m.submodules.memory = memory = Memory(shape=8, depth=64, init=self._init)
        write, read = memory.write_port(), memory.read_port()
        m.submodules.inner = inner = Module()
        count = Signal(8)
        inner.d.sync += count.eq(count + self.data)
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.data), write.en.eq(self.write),
                     read.addr.eq(self.address), read.en.eq(1), self.result.eq(read.data ^ count)]
        m.d.sync += Assert(count != 200, Format("count is {}", count))
        return m


def test_memories_stay_and_zeros_are_not_spelled_out(tmp_path):
    write_verilog(Store(), tmp_path / "plain.v", "store")
    text = (tmp_path / "plain.v").read_text()
    assert text.count("module store(") == 1
    assert re.search(r"reg \[7:0\] \S+\s*\[63:0\];", text)
    assert "initial" not in text and "assert" not in text and "$write" not in text


def test_without_the_patch_of_amaranth_zeros_would_be_spelled_out(tmp_path, monkeypatch):
    """The patch is of a method that is not public: a version of Amaranth that no longer calls it fails the test above."""
    monkeypatch.setattr(verilog, "_without_zeros", nullcontext)
    write_verilog(Store(), tmp_path / "plain.v", "store")
    assert "[63] = 8'h00" in (tmp_path / "plain.v").read_text()


def test_an_amaranth_without_the_patched_method_is_refused(tmp_path, monkeypatch):
    store = Store()
    Fragment.get(store, None)       # or Amaranth warns that it was never used
    monkeypatch.delattr(rtlil.ModuleEmitter, "emit_memory")
    with pytest.raises(BuildError, match=r"amaranth .* has no ModuleEmitter\.emit_memory.*install amaranth>=0\.5\.8,<0\.6"):
        write_verilog(store, tmp_path / "plain.v", "store")


def test_values_of_a_memory_stay(tmp_path):
    write_verilog(Store(init=[0, 7]), tmp_path / "plain.v")
    assert "[1] = 8'h07" in (tmp_path / "plain.v").read_text()


def test_checks_and_hierarchy_stay_when_asked_for(tmp_path):
    write_verilog(Store(), tmp_path / "checked.v", checks=True, hierarchy=True)
    text = (tmp_path / "checked.v").read_text()
    assert "assert (" in text and "count is %0d" in text
    assert re.search(r"module \\?top\.inner", text)


def test_fast_verilog_acts_on_both_edges(tmp_path):
    for write, clock in ((write_sleepless_verilog, "clk"), (write_fast_verilog, "clk_0")):
        write(Store(), tmp_path / "fast.v")
        text = (tmp_path / "fast.v").read_text()
        assert f"@(edge {clock})" in text and "posedge" not in text and "assert (" not in text


def test_falling_edges_are_refused(tmp_path):
    with pytest.raises(BuildError, match="uses the falling edge of a clock: only rising edges"):
        write_fast_verilog(Store(domain=ClockDomain("sync", clk_edge="neg")), tmp_path / "fast.v")
    assert not (tmp_path / "fast.v").exists()
