"""Settings: the fields of the instructions in flight that one pipeline stage needs."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out

from hdl.post.records import IN_FLIGHT


class Settings(Component):
    """Holds a record for each instruction in flight until its first value reaches the stage that uses it.

    Members
    -------
    push : In(1)
        Keep ``record`` for an instruction that enters the unit.
    record : In(layout)
    load : In(1)
        The next instruction's first value is one stage away: its record is in ``value`` from the next cycle on.
    value : Out(layout)
    """

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout = layout
        super().__init__({"push": In(1), "record": In(layout), "load": In(1), "value": Out(layout)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=self.layout, depth=IN_FLIGHT, init=[])
        write, read = storage.write_port(), storage.read_port(domain="sync")
        newest, oldest = Signal(range(IN_FLIGHT)), Signal(range(IN_FLIGHT))
        m.d.comb += [
            write.en.eq(self.push), write.addr.eq(newest), write.data.eq(self.record),
            read.en.eq(self.load), read.addr.eq(oldest), self.value.eq(read.data),
        ]
        with m.If(self.push):
            m.d.sync += newest.eq(newest + 1)
        with m.If(self.load):
            m.d.sync += oldest.eq(oldest + 1)
        return m
