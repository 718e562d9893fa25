"""Writer: joins groups of bytes to words, and writes them to the instruction's destination."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.flow_control import Elastic
from arrayloom.hdl.interfaces import trace_signature, write_port_signature
from arrayloom.hdl.post.walk import place_layout
from arrayloom.isa.config import Config


class Writer(Component):
    """Never stalls: the sequencer issues at most ``depth`` words before they are written.

    Parameters
    ----------
    config : Config
    depth : int
        Most words that wait to be written, at least 1.

    Members
    -------
    valid : In(1)
        A group is valid.
    final : In(1)
        It is the last of its word.
    group : In(range(groups))
        Its number.
    bytes : In(ArrayLayout(signed(8), lanes))
        Its bytes.
    place : In(stream.Signature(place_layout(config)))
        Where the words go.
    port : Out(write_port_signature(config))
        The scratchpad.
    trace : Out(trace_signature(config))
        Every word written.
    written : Out(1)
        A word was accepted.
    retired : Out(1)
        The last word of its instruction was accepted.
    """

    def __init__(self, config: Config, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth = {depth}: must be at least 1 word")
        self.config, self.depth = config, depth
        super().__init__({
            "valid": In(1), "final": In(1), "group": In(range(config.groups)),
            "bytes": In(data.ArrayLayout(signed(8), config.lanes)),
            "place": In(stream.Signature(place_layout(config))), "port": Out(write_port_signature(config)),
            "trace": Out(trace_signature(config)), "written": Out(1), "retired": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.config.word_bits, depth=self.depth)
        group_bits = 8 * self.config.lanes
        parts = [Signal(group_bits, name=f"part_{group}", reset_less=True) for group in range(self.config.groups - 1)]
        for group, part in enumerate(parts):
            with m.If(self.valid & (self.group == group)):
                m.d.sync += part.eq(self.bytes)
        m.submodules.places = places = Elastic(place_layout(self.config))
        connect(m, flipped(self.place), places.enter)
        place, port = places.leave.payload, self.port
        m.d.comb += [
            fifo.w_data.eq(Cat(*parts, self.bytes)), fifo.w_en.eq(self.valid & self.final),
            port.valid.eq(fifo.r_rdy & places.leave.valid), port.address.eq(place.address), port.data.eq(fifo.r_data),
            port.bank.eq(place.bank),
            self.written.eq(port.valid & port.ready), fifo.r_en.eq(self.written), places.leave.ready.eq(self.written),
            self.retired.eq(self.written & place.last),
            self.trace.valid.eq(self.written), self.trace.address.eq(port.address), self.trace.data.eq(port.data),
        ]
        return m
