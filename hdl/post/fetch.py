"""Prefetch of operands from the scratchpad: words under windows, and residual words."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.flow_control import Elastic, room_for
from arrayloom.hdl.interfaces import MEMORY_LATENCY, read_port_signature
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.hdl.post.records import Origin, byte_word
from arrayloom.hdl.post.walk import place_layout, tap_layout
from arrayloom.isa.config import Config

ROUND_TRIP = MEMORY_LATENCY + 7     # cycles from a request until its word's slot is free again, if taken at once
LEAST = -128


def gathered_layout(config: Config) -> data.StructLayout:
    """A word for the lanes, or for the summing unit: ``first`` tap of the instruction, ``last`` of its output."""
    return data.StructLayout({"word": config.word_bits, "origin": Origin, "inside": 1, "first": 1, "last": 1})


def _admit(source: stream.Interface, room: Value, enter: stream.Interface) -> list[Any]:
    """Connects two streams while there is room."""
    return [enter.payload.eq(source.payload), enter.valid.eq(source.valid & room), source.ready.eq(enter.ready & room)]


class Arbiter(Component):
    """One read port for two readers; the first has priority.

    Parameters
    ----------
    config : Config

    Members
    -------
    port : Out(read_port_signature(config))
        The scratchpad.
    first : In(read_port_signature(config))
    second : In(read_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        port = read_port_signature(config)
        super().__init__({"port": Out(port), "first": In(port), "second": In(port)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        first, second, port = self.first, self.second, self.port
        m.d.comb += [
            port.valid.eq(first.valid | second.valid), port.address.eq(Mux(first.valid, first.address, second.address)),
            port.bank.eq(Mux(first.valid, first.bank, second.bank)),
            first.ready.eq(port.ready), second.ready.eq(port.ready & ~first.valid),
            first.data.eq(port.data), second.data.eq(port.data),
        ]
        return m


class Residuals(Component):
    """Prefetches residual words. Space for a word is reserved before its request, which then waits only for the memory.

    Parameters
    ----------
    config : Config
    depth : int
        Most prefetched words, at least 1.

    Members
    -------
    place : In(stream.Signature(place_layout(config)))
        Words to read.
    port : Out(read_port_signature(config))
        The scratchpad.
    word : Out(stream.Signature(word_bits))
        The words, in order.
    pushed : Out(1)
        One more word is available, or will be in time.
    """

    def __init__(self, config: Config, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth = {depth}: must be at least 1 word")
        self.config, self.depth = config, depth
        super().__init__({
            "place": In(stream.Signature(place_layout(config))), "port": Out(read_port_signature(config)),
            "word": Out(stream.Signature(config.word_bits)), "pushed": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.config.word_bits, depth=self.depth)
        m.submodules.requests = requests = Elastic(place_layout(self.config))
        port = self.port
        returning = flag_line(m, port.valid & port.ready, MEMORY_LATENCY, "returning")
        room = room_for(m, self.depth, self.place.valid & self.place.ready, self.word.valid & self.word.ready)
        m.d.comb += _admit(self.place, room, requests.enter)
        m.d.comb += [
            port.valid.eq(requests.leave.valid), port.address.eq(requests.leave.payload.address),
            port.bank.eq(requests.leave.payload.bank), requests.leave.ready.eq(port.ready),
            fifo.w_en.eq(returning[-1]), fifo.w_data.eq(port.data), self.pushed.eq(fifo.w_en),
            self.word.payload.eq(fifo.r_data), self.word.valid.eq(fifo.r_rdy), fifo.r_en.eq(self.word.ready),
        ]
        return m


class Gather(Component):
    """Prefetches the words under windows; for BYTES only their maximum is passed on, one word per window.

    Parameters
    ----------
    config : Config

    Members
    -------
    tap : In(stream.Signature(tap_layout(config)))
        Words to read.
    port : Out(read_port_signature(config))
        The scratchpad.
    out : Out(stream.Signature(gathered_layout(config)))
        The words, in order.
    pushed : Out(1)
        One more word for the lanes is available, or will be in time.
    busy : Out(1)
        A tap's word arrives.
    """

    WORD_LATENCY = 1                        # a register between the scratchpad's banks and the comparison
    DEPTH = 2 * (ROUND_TRIP + WORD_LATENCY)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.layout = gathered_layout(config)
        super().__init__({
            "tap": In(stream.Signature(tap_layout(config))), "port": Out(read_port_signature(config)),
            "out": Out(stream.Signature(self.layout)), "pushed": Out(1), "busy": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.layout.size, depth=self.DEPTH)
        m.submodules.requests = requests = Elastic(tap_layout(self.config))
        accepted = self.tap.valid & self.tap.ready & self._kept(self.tap.payload)
        room = room_for(m, self.DEPTH, accepted, self.out.valid & self.out.ready)
        m.d.comb += _admit(self.tap, room, requests.enter)
        arriving, valid = self._request(m, requests.leave)
        word = self._maximum(m, arriving, valid)
        pushing = Signal()
        for_lanes = word.origin == Origin.BYTES
        m.d.sync += pushing.eq(valid & self._kept(arriving))
        m.d.comb += [
            fifo.w_en.eq(pushing), fifo.w_data.eq(word), self.pushed.eq(pushing & for_lanes), self.busy.eq(valid),
            self.out.payload.eq(fifo.r_data), self.out.valid.eq(fifo.r_rdy), fifo.r_en.eq(self.out.ready),
        ]
        return m

    @staticmethod
    def _kept(tap: data.View) -> Value:
        """Whether this tap yields a word for the FIFO."""
        return tap.last | (tap.origin != Origin.BYTES)

    def _request(self, m: Module, taps: stream.Interface) -> tuple[data.View, Value]:
        """Reads the taps' words; returns the tap whose word arrives now, and whether there is one."""
        tap = taps.payload
        m.d.comb += [
            self.port.valid.eq(taps.valid & tap.inside), self.port.address.eq(tap.address), self.port.bank.eq(tap.bank),
            taps.ready.eq(self.port.ready | ~tap.inside),
        ]
        valid = flag_line(m, taps.valid & taps.ready, MEMORY_LATENCY + self.WORD_LATENCY, "valid")
        self.word = data_register(m, self.port.data, valid[MEMORY_LATENCY], "held")
        return delay(m, tap, valid[:-1], "tap"), valid[-1]

    def _maximum(self, m: Module, tap: data.View, valid: Value) -> Signal:
        """The word and its flags, one cycle later; taps of a BYTES window are replaced by the maximum so far."""
        word = Signal(self.layout, reset_less=True)
        fresh = Signal(init=1)
        bytes_before, bytes_now = (data.View(byte_word(self.config), value) for value in (word.word, self.word))
        with m.If(valid):
            m.d.sync += fresh.eq(self._kept(tap))
            m.d.sync += [word[name].eq(tap[name]) for name in ("origin", "inside", "first", "last")]
            for before, now in zip(bytes_before, bytes_now, strict=True):
                past = Mux(fresh, LEAST, before)
                present = Mux(tap.inside, now, LEAST)
                m.d.sync += before.eq(Mux(present > past, present, past))
        return word
