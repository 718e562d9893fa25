"""An AXI4-Lite slave as a plain port for registers."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.hdl.interfaces import axi_lite_signature
from arrayloom.isa.registers import REGISTER_ADDRESS_BITS, REGISTER_BYTES

OKAY, SLAVE_ERROR = 0, 2
WORD_BITS = REGISTER_ADDRESS_BITS - exact_log2(REGISTER_BYTES)      # of a register's number


def register_port_signature() -> Signature:
    """Register accesses, seen from the slave.

    Members
    -------
    write : Out(1)
        A pulse: write ``write_data`` to register ``write_word``.
    write_word : Out(WORD_BITS)
    write_data : Out(32)
    write_strobe : Out(4)
        The bytes to write.
    write_error : In(1)
        In the same cycle: the write is refused.
    read : Out(1)
        A pulse: read register ``read_word``.
    read_word : Out(WORD_BITS)
        Also valid in the next cycle.
    read_data : In(32)
        In the next cycle.
    read_error : In(1)
        In the next cycle: the read is refused.
    """
    return Signature({
        "write": Out(1), "write_word": Out(WORD_BITS), "write_data": Out(32), "write_strobe": Out(4),
        "write_error": In(1),
        "read": Out(1), "read_word": Out(WORD_BITS), "read_data": In(32), "read_error": In(1),
    })


class AxiLiteSlave(Component):
    """Takes one write and one read at a time; a refused access is answered with SLVERR.

    Members
    -------
    axi : Out(axi_lite_signature())
        The host.
    port : Out(register_port_signature())
        The registers.
    """

    axi: Out(axi_lite_signature())
    port: Out(register_port_signature())

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m: Module) -> None:
        axi, port = self.axi, self.port
        addressed, loaded = Signal(name="addressed"), Signal(name="loaded")
        m.d.comb += [axi.awready.eq(~addressed), axi.wready.eq(~loaded),
                     port.write.eq(addressed & loaded & ~axi.bvalid)]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [addressed.eq(1), port.write_word.eq(axi.awaddr[2:])]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [loaded.eq(1), port.write_data.eq(axi.wdata), port.write_strobe.eq(axi.wstrb)]
        with m.If(port.write):
            m.d.sync += [addressed.eq(0), loaded.eq(0), axi.bvalid.eq(1)]
            with m.If(port.write_error):
                m.d.sync += axi.bresp.eq(SLAVE_ERROR)
            with m.Else():
                m.d.sync += axi.bresp.eq(OKAY)
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)

    def _read(self, m: Module) -> None:
        axi, port = self.axi, self.port
        answers = Signal()
        m.d.comb += axi.arready.eq(~port.read & ~answers & ~axi.rvalid)
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [port.read.eq(1), port.read_word.eq(axi.araddr[2:])]
        with m.Else():
            m.d.sync += port.read.eq(0)
        m.d.sync += answers.eq(port.read)
        with m.If(answers):
            m.d.sync += [axi.rvalid.eq(1), axi.rdata.eq(port.read_data)]
            with m.If(port.read_error):
                m.d.sync += axi.rresp.eq(SLAVE_ERROR)
            with m.Else():
                m.d.sync += axi.rresp.eq(OKAY)
        with m.Elif(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
