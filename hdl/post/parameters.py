"""The parameter FIFO: 64 bits per lane in each entry, with random access relative to its head."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import sink_signature
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import SIGNIFICANT, THRESHOLDS


def word_read(config: Config) -> data.StructLayout:
    """A read of the same entry in every lane.

    ``group``: the entry, counted from the head; ``unit``: read the neutral value instead of an entry; ``release``: drop
    the ``groups`` entries of a word (``thresholds``: those of an average) after this read.
    """
    return data.StructLayout({"group": range(config.groups), "unit": 1, "release": 1, "thresholds": 1})


class ParameterHalf(Component):
    """Biases or scales: 32 bits per lane in one memory per lane, each with its own head, because they are read at different
    stages.

    Parameters
    ----------
    config : Config
        ``parameter_entries`` is the depth.
    unit : int
        The neutral value, 32 bits.

    Members
    -------
    write : In(1)
        A word of memory, for half of the lanes' memories or fewer.
    part : In(range(parts))
        Which lanes the word is for.
    row : In(range(parameter_entries))
        Entry to write.
    data : In(word_bits)
        The word.
    read : In(stream.Signature(word_read(config), always_ready=True))
    search : In(1)
        Read entry ``offsets[lane]`` in each lane instead; not together with ``read``.
    offsets : In(ArrayLayout(8, lanes))
    values : Out(ArrayLayout(32, lanes))
        ``LATENCY`` cycles after either read.
    """

    LATENCY = 2

    def __init__(self, config: Config, unit: int) -> None:
        if not 0 <= unit < 1 << 32:
            raise ValueError(f"unit = {unit}: must fit 32 bits")
        self.config, self.unit = config, unit
        self.parts = config.parameter_beats // 2
        super().__init__({
            "write": In(1), "part": In(range(self.parts)), "row": In(range(config.parameter_entries)),
            "data": In(config.word_bits),
            "read": In(stream.Signature(word_read(config), always_ready=True)),
            "search": In(1), "offsets": In(data.ArrayLayout(8, config.lanes)),
            "values": Out(data.ArrayLayout(32, config.lanes)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, read = self.config, self.read.payload
        head = Signal(range(config.parameter_entries))
        fetched, searched = Signal(name="fetched"), Signal(name="searched")
        unit = Signal(name="uses_unit", reset_less=True)
        with m.If(self.read.valid & read.release):
            m.d.sync += head.eq(head + Mux(read.thresholds, THRESHOLDS, config.groups))
        m.d.sync += [fetched.eq(self.read.valid), searched.eq(self.search)]
        with m.If(self.read.valid):
            m.d.sync += unit.eq(read.unit)
        for lane in range(config.lanes):
            m.submodules[f"lane_{lane}"] = storage = memory.Memory(
                shape=32, depth=config.parameter_entries, init=[])
            write, port = storage.write_port(), storage.read_port(domain="sync")
            value = Signal(32, name=f"value_{lane}", reset_less=True)
            part, column = divmod(lane, config.size // 4)
            m.d.comb += [
                write.en.eq(self.write & (self.part == part)), write.addr.eq(self.row),
                write.data.eq(self.data.word_select(column, 32)),
                port.en.eq(self.search | (self.read.valid & ~read.unit)),
                port.addr.eq(head + Mux(self.search, self.offsets[lane], read.group)),
                self.values[lane].eq(value),
            ]
            with m.If(searched | (fetched & ~unit)):
                m.d.sync += value.eq(port.data)
            with m.Elif(fetched):
                m.d.sync += value.eq(self.unit)
        return m


class Parameters(Component):
    """The parameter FIFO: both halves of its entries, and the count of them.

    Parameters
    ----------
    config : Config

    Members
    -------
    sink : In(sink_signature(config))
        Filled by LOAD: the lanes' biases, then the lanes' scales.
    available : Out(range(parameter_entries + 1))
        Entries not yet used up by an instruction.
    word : Out(1)
        They suffice for a word.
    thresholds : Out(1)
        They suffice for an average.
    take : In(1)
        The instruction's last group enters the lanes: ``groups`` entries are used up.
    take_thresholds : In(1)
        With ``take``: ``THRESHOLDS`` entries are.
    bias_read : In(stream.Signature(word_read(config), always_ready=True))
    scale_read : In(stream.Signature(word_read(config), always_ready=True))
        Scales are read last: what this releases becomes free.
    search : In(1)
        Read both halves at ``offsets``.
    offsets : In(ArrayLayout(8, lanes))
        An entry for each lane.
    biases : Out(ArrayLayout(32, lanes))
        Or the lower 32 bits of thresholds.
    scales : Out(ArrayLayout(32, lanes))
        Or the upper 32 bits of thresholds.
    occupied : Out(1)
        There are complete or partial entries.
    """

    LATENCY = ParameterHalf.LATENCY
    UNIT_SCALE = 1 << SIGNIFICANT - 1 | SIGNIFICANT - 1 << SIGNIFICANT   # one

    def __init__(self, config: Config) -> None:
        self.config = config
        read = stream.Signature(word_read(config), always_ready=True)
        super().__init__({
            "sink": In(sink_signature(config)),
            "available": Out(range(config.parameter_entries + 1)), "word": Out(1), "thresholds": Out(1),
            "take": In(1), "take_thresholds": In(1),
            "bias_read": In(read), "scale_read": In(read),
            "search": In(1), "offsets": In(data.ArrayLayout(8, config.lanes)),
            "biases": Out(data.ArrayLayout(32, config.lanes)), "scales": Out(data.ArrayLayout(32, config.lanes)),
            "occupied": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, beats = self.config, self.config.parameter_beats
        m.submodules.bias = bias = ParameterHalf(config, 0)
        m.submodules.scale = scale = ParameterHalf(config, self.UNIT_SCALE)
        beat, row = Signal(range(beats)), Signal(range(config.parameter_entries))
        complete, counted = Signal(), Signal()
        m.d.comb += complete.eq(self.sink.valid & (beat == beats - 1))
        m.d.sync += counted.eq(complete)
        with m.If(self.sink.valid):
            m.d.sync += beat.eq(beat + 1)
        with m.If(complete):
            m.d.sync += row.eq(row + 1)
        for half, upper in ((bias, 0), (scale, 1)):
            m.d.comb += [
                half.write.eq(self.sink.valid & (beat[-1] == upper)), half.part.eq(beat[:-1]), half.row.eq(row),
                half.data.eq(self.sink.data), half.search.eq(self.search), half.offsets.eq(self.offsets),
            ]
        for half, read, values in ((bias, self.bias_read, self.biases), (scale, self.scale_read, self.scales)):
            m.d.comb += [half.read.payload.eq(read.payload), half.read.valid.eq(read.valid), values.eq(half.values)]
        self._count(m, counted)
        return m

    def _count(self, m: Module, complete: Value) -> None:
        config, read = self.config, self.scale_read
        used = Mux(self.take_thresholds, THRESHOLDS, config.groups)
        available = self.available
        # both sums, and what they suffice for, are computed before the selection is known
        more, less = available + complete, (available + complete - used)[:len(available)]

        def hold(count: Value) -> list[Any]:
            return [available.eq(count), self.word.eq(count >= config.groups), self.thresholds.eq(count >= THRESHOLDS)]

        with m.If(self.take):
            m.d.sync += hold(less)
        with m.Elif(complete):
            m.d.sync += hold(more)
        room = config.parameter_entries * config.parameter_beats
        free = Signal(range(room + 1), init=room)
        released = read.valid & read.payload.release
        freed = Mux(released, Mux(read.payload.thresholds, THRESHOLDS, config.groups), 0) * config.parameter_beats
        with m.If(self.sink.valid | released):
            m.d.sync += free.eq(free + freed - self.sink.valid)
        m.d.comb += [self.sink.free.eq(free), self.occupied.eq(free != room)]
