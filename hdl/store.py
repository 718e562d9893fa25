"""The STORE unit: transfers activations to memory."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, connect

from arrayloom.hdl.axi import WRITE_WORDS, write_signature
from arrayloom.hdl.bursts import Bursts, Place, burst_layout
from arrayloom.hdl.flow_control import Elastic, room_for
from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of, instruction_layout, read_port_signature, unit_signature
from arrayloom.hdl.pipeline import flag_line
from arrayloom.hdl.windows import window_signature
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import WORD_ADDRESS
from arrayloom.isa.instructions import Store as StoreInstruction
from arrayloom.isa.registers import Cause

REQUESTS = 4        # bursts whose words are read but which the bus has not accepted
OUTSTANDING = 16    # bursts that memory has not answered


class Store(Component):
    """Executes Store: requests a burst when its last word is being read, so that the bus does not wait for data.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    bus : Out(write_signature(config))
    base : In(ADDRESS_BITS)
        Byte address that memory addresses are relative to.
    window : In(window_signature(config))
        The part of memory that may be accessed.
    read : Out(read_port_signature(config))
        A port of the scratchpad.
    bus_error : Out(1)
        A pulse: the bus answered with an error.
    outside : Out(1)
        An instruction accesses memory outside the window; stays set, together with ``outside_address``.
    outside_address : Out(ADDRESS_BITS)
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()),
            "bus": Out(write_signature(config)),
            "base": In(ADDRESS_BITS),
            "window": In(window_signature(config)),
            "read": Out(read_port_signature(config)),
            "bus_error": Out(1),
            "outside": Out(1),
            "outside_address": Out(ADDRESS_BITS),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bursts = self.bursts = Bursts(self.config)
        m.submodules.next_burst = self.next_burst = Elastic(burst_layout())
        connect(m, self.bursts.burst, self.next_burst.enter)
        place = data.StructLayout({"address": WORD_ADDRESS, "bank": range(self.config.activation_banks)})
        m.submodules.places = self.places = Elastic(place)
        self.request = data.StructLayout({"address": ADDRESS_BITS, "beats": 8, "final": 1})
        m.submodules.requests = self.requests = SyncFIFOBuffered(width=self.request.size, depth=REQUESTS)
        m.submodules.answers = self.answers = SyncFIFOBuffered(width=1, depth=OUTSTANDING)
        self.burst = Signal(burst_layout(), reset_less=True)
        self.reading = Signal()     # words of the burst are yet to be read
        self.asks = Signal()        # a request goes to the bus
        m.d.comb += [self.bursts.base.eq(self.base), self.bursts.window.low.eq(self.window.low),
                     self.bursts.window.high.eq(self.window.high), self.outside.eq(self.bursts.outside),
                     self.outside_address.eq(self.bursts.outside_address)]
        self._decode(m)
        self._read(m)
        self._send(m)
        self._answer(m)
        self._cause(m)
        return m

    def _decode(self, m: Module) -> None:
        instruction, region = self.unit.instruction, self.bursts.region
        fields = data.View(instruction_layout(StoreInstruction), instruction.payload)
        m.d.comb += [
            region.valid.eq(instruction.valid), instruction.ready.eq(region.ready),
            region.payload.place.eq(Place.ACTIVATIONS), region.payload.address.eq(fields.address),
            region.payload.chip.eq(fields.source), region.payload.words.eq(fields.words),
            region.payload.rows.eq(fields.rows), region.payload.memory_pitch.eq(fields.memory_pitch),
            region.payload.chip_pitch.eq(fields.chip_pitch), self.unit.illegal.eq(self.bursts.illegal),
        ]

    def _read(self, m: Module) -> None:
        """Reads the burst's words while the buffer has room; the last one passes the burst on."""
        places, source, requests = self.places, self.next_burst.leave, self.requests
        chip, left = (Signal.like(field, name=name, reset_less=True)
                      for name, field in (("chip", self.burst.chip), ("left", self.burst.words)))
        final = Signal(reset_less=True)     # this is the burst's last word, computed when counting
        accepted, last, beats = Signal(), Signal(), Signal(8)
        room = room_for(m, WRITE_WORDS, accepted, self.bus.sent) & room_for(m, REQUESTS, last, self.asks)
        m.d.comb += [
            places.enter.valid.eq(self.reading & room), places.enter.payload.address.eq(chip),
            places.enter.payload.bank.eq(bank_of(chip, self.config)),
            accepted.eq(places.enter.valid & places.enter.ready), last.eq(accepted & final),
            source.ready.eq(~self.reading | last),
            requests.w_en.eq(last), beats.eq(self.burst.words - 1),
            requests.w_data.eq(Cat(self.burst.address, beats, self.burst.final)),
        ]
        with m.If(accepted):
            m.d.sync += [chip.eq(chip + 1), left.eq(left - 1), final.eq(left == 2)]
        with m.If(last):
            m.d.sync += self.reading.eq(0)
        with m.If(source.valid & source.ready):
            m.d.sync += [self.reading.eq(1), self.burst.eq(source.payload), chip.eq(source.payload.chip),
                         left.eq(source.payload.words), final.eq(source.payload.words == 1)]
        read = self.read
        self.arriving = arriving = flag_line(m, read.valid & read.ready, MEMORY_LATENCY, "arriving")
        m.d.comb += [
            read.valid.eq(places.leave.valid), read.address.eq(places.leave.payload.address),
            read.bank.eq(places.leave.payload.bank), places.leave.ready.eq(read.ready),
        ]
        m.d.comb += [self.bus.word.valid.eq(arriving[-1]), self.bus.word.payload.eq(read.data)]

    def _send(self, m: Module) -> None:
        bus, requests = self.bus, self.requests
        request = data.View(self.request, requests.r_data)
        asks = self.asks
        m.d.comb += [
            bus.request.valid.eq(requests.r_rdy & self.answers.w_rdy),
            bus.request.payload.address.eq(request.address), bus.request.payload.beats.eq(request.beats),
            asks.eq(bus.request.valid & bus.request.ready), requests.r_en.eq(asks),
            self.answers.w_en.eq(asks), self.answers.w_data.eq(request.final),
        ]

    def _answer(self, m: Module) -> None:
        answers = self.answers
        m.d.comb += answers.r_en.eq(self.bus.answered)
        m.d.sync += [self.unit.retired.eq(self.bus.answered & answers.r_rdy & answers.r_data),
                     self.bus_error.eq(self.bus.answered & self.bus.error)]

    def _cause(self, m: Module) -> None:
        cause, waited = self.unit.cause, Signal(name="waited")
        m.d.sync += waited.eq(self.read.valid)
        # the scratchpad's answer of one cycle ago
        with m.If(self.bus.sent | self.arriving[1]):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(waited):
            m.d.sync += cause.eq(Cause.ACTIVATIONS)
        with m.Elif(self.reading | self.requests.r_rdy | (self.answers.level != 0)):
            m.d.sync += cause.eq(Cause.MEMORY)
        with m.Elif(~self.bursts.region.ready | self.next_burst.leave.valid):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.IDLE)
