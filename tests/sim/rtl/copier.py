"""A copy engine with the accelerator's ports: the device under test for the simulation harness's own tests.

It reads COUNT words at SOURCE and writes them to TARGET in bursts of BURST words. Depending on MODE it also calculates on
the data, or breaks a rule of the bus that the harness must detect.
"""

from enum import IntEnum
from pathlib import Path

from amaranth.hdl import Assert, Cat, Format, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from arrayloom.sim.rtl.design import Design

FIFO_DEPTH = 1024


class Register(IntEnum):
    """Byte offsets of the registers. Writing CONTROL starts; STATUS can only be read."""

    CONTROL = 0
    SOURCE = 4
    TARGET = 8
    COUNT = 12
    BURST = 16
    STATUS = 20
    MODE = 24
    SOURCE_HIGH = 28
    TARGET_HIGH = 32
    LANES_OFF = 36      # bit i: bytes i, i + 32, ... of each word are not written


class Status(IntEnum):
    """Bits of STATUS; DONE is the interrupt."""

    BUSY = 0
    DONE = 1
    READ_ERROR = 2
    WRITE_ERROR = 3


class Mode(IntEnum):
    """The copier's calculation on the data, or the rule that it breaks."""

    COPY = 0
    CALCULATE = 1
    EARLY_LAST = 2
    NO_LAST = 3
    WITHDRAW_ADDRESS = 4
    CHANGE_ADDRESS = 5
    WITHDRAW_DATA = 6
    CHANGE_DATA = 7
    NARROW = 8
    FIXED = 9
    FAIL_ASSERTION = 10
    ANSWER_WITHIN_CYCLE = 11


def _members(direction: wiring.Flow, **widths: int) -> dict[str, wiring.Member]:
    """Members of channels; ``ready`` has the opposite direction."""
    other = In if direction is Out else Out
    return {name: (other if name.endswith("ready") else direction)(width) for name, width in widths.items()}


def _axi(word_bytes: int) -> wiring.Signature:
    address = {"id": 2, "addr": 40, "len": 8, "size": 3, "burst": 2, "valid": 1, "ready": 1}
    return wiring.Signature({
        **_members(Out, **{channel + name: width for channel in ("ar", "aw") for name, width in address.items()}),
        **_members(In, rid=2, rdata=8 * word_bytes, rresp=2, rlast=1, rvalid=1, rready=1),
        **_members(Out, wdata=8 * word_bytes, wstrb=word_bytes, wlast=1, wvalid=1, wready=1),
        **_members(In, bid=2, bresp=2, bvalid=1, bready=1),
    })


def _axi_lite() -> wiring.Signature:
    return wiring.Signature({
        **_members(In, awaddr=12, awvalid=1, awready=1, wdata=32, wstrb=4, wvalid=1, wready=1),
        **_members(Out, bresp=2, bvalid=1, bready=1),
        **_members(In, araddr=12, arvalid=1, arready=1),
        **_members(Out, rdata=32, rresp=2, rvalid=1, rready=1),
    })


class Copier(wiring.Component):
    """A copy engine with ``word_bytes`` bytes per beat and one trace pulse per word written.

    It runs while it is busy. The cause of its first block is 1 in the cycle after it sends a word; the last word retires
    it.
    """

    def __init__(self, word_bytes):
        self.word_bytes = word_bytes
        super().__init__({
            "irq": Out(1),
            "core_reset": In(1),
            "axi": Out(_axi(word_bytes)),
            "axil": Out(_axi_lite()),
            "trace": Out(wiring.Signature({"valid": Out(1), "address": Out(20), "data": Out(8 * word_bytes)})),
            "events": Out(wiring.Signature({"running": Out(1), "causes": Out(20), "retired": Out(5)})),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = self.fifo = SyncFIFOBuffered(width=8 * self.word_bytes, depth=FIFO_DEPTH)
        self.registers = {register: Signal(32, name=register.name.lower()) for register in Register
                          if register not in (Register.CONTROL, Register.STATUS)}
        self.mode = self.registers[Register.MODE]
        self.start = Signal()
        self.status = Signal(len(Status))
        self._control(m)
        self._read(m)
        self._write(m)
        with m.If(self.start):
            m.d.sync += self.status.eq(1 << Status.BUSY)
        m.d.comb += self.irq.eq(self.status[Status.DONE])
        with m.If(self.mode == Mode.FAIL_ASSERTION):
            m.d.sync += Assert(~self.status[Status.BUSY], Format("busy with status {}", self.status))
        return m

    def _control(self, m):
        bus = self.axil
        write = Signal()
        m.d.comb += [write.eq(bus.awvalid & bus.wvalid & ~bus.bvalid), bus.awready.eq(write), bus.wready.eq(write),
                     bus.arready.eq(~bus.rvalid)]
        m.d.sync += [self.start.eq(write & (bus.awaddr == Register.CONTROL)),
                     bus.bvalid.eq(write | (bus.bvalid & ~bus.bready))]
        with m.If(write):
            m.d.sync += bus.bresp.eq(Mux(bus.awaddr > max(Register), 3, 0))
            for offset, register in self.registers.items():
                with m.If(bus.awaddr == offset):
                    m.d.sync += register.eq(bus.wdata)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rresp.eq(Mux(bus.araddr > max(Register), 3, 0)), bus.rdata.eq(0)]
            for offset, register in {**self.registers, Register.STATUS: self.status}.items():
                with m.If(bus.araddr == offset):
                    m.d.sync += bus.rdata.eq(register)
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)

    def _read(self, m):
        bus, fifo = self.axi, self.fifo
        left, space = Signal(32), Signal(range(FIFO_DEPTH + 1), init=FIFO_DEPTH)
        burst, length = self.registers[Register.BURST], Signal(9)
        taken = bus.arvalid & bus.arready
        m.d.comb += [length.eq(Mux(left < burst, left, burst)), bus.arburst.eq(Mux(self.mode == Mode.FIXED, 0, 1)),
                     bus.arsize.eq((self.word_bytes.bit_length() - 1) - (self.mode == Mode.NARROW)),
                     bus.rready.eq(1), fifo.w_en.eq(bus.rvalid), fifo.w_data.eq(bus.rdata)]
        with m.If(self.start):
            m.d.sync += [left.eq(self.registers[Register.COUNT]), bus.arvalid.eq(0),
                         bus.araddr.eq(Cat(self.registers[Register.SOURCE], self.registers[Register.SOURCE_HIGH]))]
        with m.Elif(~bus.arvalid & (left != 0) & (space >= length)):
            m.d.sync += [bus.arvalid.eq(1), bus.arlen.eq(length - 1), left.eq(left - length)]
        with m.Elif(taken):
            m.d.sync += [bus.arvalid.eq(0), bus.arid.eq(bus.arid + 1),
                         bus.araddr.eq(bus.araddr + (bus.arlen + 1) * self.word_bytes)]
        with m.Elif(self.mode == Mode.WITHDRAW_ADDRESS):
            m.d.sync += bus.arvalid.eq(0)
        with m.Elif((self.mode == Mode.CHANGE_ADDRESS) & bus.arvalid):
            m.d.sync += bus.araddr.eq(bus.araddr + self.word_bytes)
        m.d.sync += space.eq(space + (fifo.r_en & fifo.r_rdy) - Mux(taken, bus.arlen + 1, 0))
        with m.If(bus.rvalid & bus.rresp.any()):
            m.d.sync += self.status[Status.READ_ERROR].eq(1)

    def _write(self, m):
        bus, fifo, mode = self.axi, self.fifo, self.mode
        left, unanswered, beat, length = Signal(32), Signal(8), Signal(9), Signal(9)
        sending, sent, odd, final = Signal(), Signal(), Signal(), Signal()
        result = Mux(mode == Mode.CALCULATE, calculate(fifo.r_data), fifo.r_data)
        off = self.registers[Register.LANES_OFF]
        m.d.comb += [
            length.eq(Mux(left < self.registers[Register.BURST], left, self.registers[Register.BURST])),
            bus.awburst.eq(1), bus.awsize.eq(self.word_bytes.bit_length() - 1), bus.bready.eq(1),
            bus.wstrb.eq(~Cat(off[lane % 32] for lane in range(self.word_bytes))),
            bus.wdata.eq(result ^ ((mode == Mode.CHANGE_DATA) & odd)),
            bus.wvalid.eq(sending & fifo.r_rdy & ~((mode == Mode.WITHDRAW_DATA) & odd)),
            final.eq(beat == bus.awlen), sent.eq(bus.wvalid & bus.wready), fifo.r_en.eq(sent),
            bus.wlast.eq(final & (mode != Mode.NO_LAST) | (mode == Mode.EARLY_LAST)),
        ]
        m.d.sync += odd.eq(~odd)
        with m.If(self.start):
            m.d.sync += [left.eq(self.registers[Register.COUNT]),
                         bus.awaddr.eq(Cat(self.registers[Register.TARGET], self.registers[Register.TARGET_HIGH]))]
        with m.Elif(~bus.awvalid & ~sending & (left != 0)):
            m.d.sync += [bus.awvalid.eq(1), bus.awlen.eq(length - 1), left.eq(left - length), beat.eq(0)]
        with m.Elif(bus.awvalid & bus.awready):
            m.d.sync += [bus.awvalid.eq(0), sending.eq(1)]
        with m.Elif(sent):
            m.d.sync += beat.eq(beat + 1)
            with m.If(final):
                m.d.sync += [sending.eq(0), bus.awid.eq(bus.awid + 1),
                             bus.awaddr.eq(bus.awaddr + (bus.awlen + 1) * self.word_bytes)]
        with m.If(bus.bvalid & bus.bresp.any()):
            m.d.sync += self.status[Status.WRITE_ERROR].eq(1)
        m.d.sync += unanswered.eq(unanswered + (bus.awvalid & bus.awready) - bus.bvalid)
        with m.If(bus.bvalid & self.status[Status.BUSY] & (unanswered == 1) & (left == 0) & ~bus.awvalid & ~sending):
            m.d.sync += [self.status[Status.BUSY].eq(0), self.status[Status.DONE].eq(1)]
        self._trace(m, sent)
        m.d.comb += self.events.running.eq(self.status[Status.BUSY])
        m.d.sync += [self.events.causes.eq(sent), self.events.retired.eq(sent & final & (left == 0))]

    def _trace(self, m, sent):
        written, word = Signal(), Signal(20)
        m.d.sync += [written.eq(sent), self.trace.address.eq(word), self.trace.data.eq(self.axi.wdata)]
        with m.If(self.start):
            m.d.sync += word.eq(0)
        with m.Elif(sent):
            m.d.sync += word.eq(word + 1)
        within_cycle = (self.mode == Mode.ANSWER_WITHIN_CYCLE) & self.axi.wready
        m.d.comb += self.trace.valid.eq(written | within_cycle)


def calculate(word):
    """Signed arithmetic in many widths on the bytes of words of at least 16 bytes; shorter words are unchanged.

    The hardware's counterpart of ``expected_calculation`` in the tests.
    """
    if len(word) < 128:
        return word
    x = list(data.View(data.ArrayLayout(data.signed(8), 16), word[:128]))
    dot = x[0] * x[1] + x[2] * x[3] + x[4] * x[5] + x[6] * x[7]
    scaled = (dot - x[8] * x[9]) * x[10]
    flags = Cat(dot < scaled, dot >= x[12], dot == x[13] * x[14], scaled <= x[11], dot != scaled, x[8] > dot)
    product = scaled * dot * x[13] + (x[15] << 40)
    return Cat((scaled + x[11] + 0x7FFF_0000)[:32], (-dot)[3:19], flags, (dot - 1)[:10], (product + (1 << 63))[:64])


def design(word_bytes: int, source: Path = Path(__file__)) -> Design:
    """The copier in the form that the build takes."""
    return Design(f"copier of {word_bytes} bytes", word_bytes, "", (source,), lambda: Copier(word_bytes))
