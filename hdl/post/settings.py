"""Records of the instructions in flight, stored until the part of the unit that needs them reaches the instruction."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.post.records import IN_FLIGHT


class Settings(Component):
    """A record for each instruction in flight, for a stage that processes instructions in order.

    Parameters
    ----------
    layout : StructLayout
        Layout of the record.

    Members
    -------
    push : In(1)
        Store ``record`` in ``slot``.
    slot : In(range(IN_FLIGHT))
    record : In(layout)
    load : In(1)
        The first value of the instruction in slot ``wanted`` is one stage away: its record is in ``value`` from the next
        cycle on.
    wanted : In(range(IN_FLIGHT))
    value : Out(layout)
    """

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout = layout
        slot = range(IN_FLIGHT)
        super().__init__({"push": In(1), "slot": In(slot), "record": In(layout), "load": In(1), "wanted": In(slot),
                          "value": Out(layout)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=self.layout, depth=IN_FLIGHT, init=[])
        write, read = storage.write_port(), storage.read_port(domain="sync")
        m.d.comb += [
            write.en.eq(self.push), write.addr.eq(self.slot), write.data.eq(self.record),
            read.en.eq(self.load), read.addr.eq(self.wanted), self.value.eq(read.data),
        ]
        return m


class Backlog(Component):
    """Queue of the instructions in flight that a part of the unit has not started, oldest first; it never overflows.

    Parameters
    ----------
    layout : StructLayout
        Layout of their records.

    Members
    -------
    push : In(1)
        Keep ``record``.
    record : In(layout)
    out : Out(stream.Signature(layout))
        The records.
    """

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout = layout
        super().__init__({"push": In(1), "record": In(layout), "out": Out(stream.Signature(layout))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=self.layout, depth=IN_FLIGHT, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        newest, oldest = (Signal(range(2 * IN_FLIGHT), name=name) for name in ("newest", "oldest"))
        some, taken = Signal(name="some"), Signal()     # the first: there is one, computed when counting
        m.d.comb += [
            write.en.eq(self.push), write.addr.eq(newest), write.data.eq(self.record), taken.eq(some & self.out.ready),
            read.addr.eq(oldest), self.out.payload.eq(read.data), self.out.valid.eq(some),
        ]
        with m.If(self.push):
            m.d.sync += [newest.eq(newest + 1), some.eq(1)]
        with m.Elif(taken):
            m.d.sync += some.eq((newest - oldest)[:len(newest)] != 1)
        with m.If(taken):
            m.d.sync += oldest.eq(oldest + 1)
        return m
