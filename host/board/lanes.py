"""A narrow port into a wide controller of LiteDRAM.

LiteDRAM's own converter combines words of a burst and leaves some writes unanswered (found in the simulated system
with DDR3, where STORE waited for ever). LiteX's converter for AXI accepts only bursts of whole wide words. Here
each narrow word is a separate command with the other lanes masked: this uses only half of the bandwidth of a DDR3
memory, but follows the protocol.
"""

from typing import Any

from litedram.common import LiteDRAMNativePort
from litex.gen import If, LiteXModule, Mux, Signal
from litex.soc.interconnect import stream

DEPTH = 32      # outstanding commands; the AXI front end allows 16 for each direction


class Lanes(LiteXModule):
    """Provides ``narrow``, a native port of ``data_width`` bits, on the ``wide`` port, whose width is a multiple of it."""

    def __init__(self, wide: Any, data_width: int) -> None:
        self._ratio = wide.data_width // data_width
        self._shift = (self._ratio - 1).bit_length()
        self.narrow = LiteDRAMNativePort("both", wide.address_width + self._shift, data_width)
        self.reads = stream.SyncFIFO([("lane", self._shift)], DEPTH)
        self.writes = stream.SyncFIFO([("lane", self._shift)], DEPTH)
        self._commands(wide)
        self._read_data(wide)
        self._write_data(wide)

    def _commands(self, wide: Any) -> None:
        """A command passes when the queue of its direction has room for the lane number."""
        command, room = self.narrow.cmd, Signal()
        taken = Signal()
        self.comb += [
            room.eq(Mux(command.we, self.writes.sink.ready, self.reads.sink.ready)),
            wide.cmd.valid.eq(command.valid & room), command.ready.eq(wide.cmd.ready & room),
            wide.cmd.we.eq(command.we), wide.cmd.last.eq(command.last), wide.cmd.addr.eq(command.addr[self._shift:]),
            taken.eq(command.valid & command.ready),
            self.reads.sink.valid.eq(taken & ~command.we), self.writes.sink.valid.eq(taken & command.we),
            self.reads.sink.lane.eq(command.addr[:self._shift]), self.writes.sink.lane.eq(command.addr[:self._shift]),
        ]

    def _read_data(self, wide: Any) -> None:
        data, width = self.narrow.rdata, self.narrow.data_width
        self.comb += [data.valid.eq(wide.rdata.valid), wide.rdata.ready.eq(data.ready),
                      self.reads.source.ready.eq(data.valid & data.ready)]
        self.comb += [If(self.reads.source.lane == lane, data.data.eq(wide.rdata.data[lane * width:(lane + 1) * width]))
                      for lane in range(self._ratio)]

    def _write_data(self, wide: Any) -> None:
        data, count = self.narrow.wdata, self.narrow.data_width // 8
        self.comb += [wide.wdata.valid.eq(data.valid & self.writes.source.valid),
                      data.ready.eq(wide.wdata.ready & self.writes.source.valid),
                      self.writes.source.ready.eq(data.valid & data.ready)]
        for lane in range(self._ratio):
            self.comb += [wide.wdata.data[8 * lane * count:8 * (lane + 1) * count].eq(data.data),
                          If(self.writes.source.lane == lane, wide.wdata.we[lane * count:(lane + 1) * count].eq(data.we))]
