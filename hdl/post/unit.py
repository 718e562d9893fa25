"""The POST unit: wiring of its parts, and the counts that keep them in step."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from hdl.interfaces import (
    accumulator_read_signature,
    read_port_signature,
    sink_signature,
    trace_signature,
    unit_signature,
    write_port_signature,
)
from hdl.post.average import Average
from hdl.post.decode import Decode
from hdl.post.fetch import ROUND_TRIP, Arbiter, Gather, Residuals
from hdl.post.lanes import Lanes
from hdl.post.operands import Operands
from hdl.post.parameters import Parameters
from hdl.post.records import IN_FLIGHT, REGION, WINDOW, WORK, Origin
from hdl.post.sequencer import Sequencer
from hdl.post.stages import BIAS_READ, BYTE, ISSUED, OPERAND, RESULT, SCALE_READ, SUMMED, words_between
from hdl.post.tables import Tables
from hdl.post.tokens import Tokens
from hdl.post.total import Total
from hdl.post.walk import RegionWalk, WindowWalk
from hdl.post.writer import Writer
from isa.config import Config
from isa.registers import Cause

WRITE = 3   # cycles from a word's last group to the write that makes room for another


class Post(Component):
    """Drains accumulators, pools, and passes over the activation memory; several instructions are inside at a time.

    Operands are prefetched, so an instruction's reads may come before the last write of the one before: instructions
    that depend on each other are told apart by the unit's own ``wait`` bit.

    Members
    -------
    unit : Out(unit_signature)
    accumulator : Out(accumulator_read_signature)
        ``available`` speaks of the next half from the cycle after ``release`` on.
    read : Out(read_port_signature)
    write : Out(write_port_signature)
    parameters, tables : In(sink_signature)
    trace : Out(trace_signature)
    data_left : Out(1)
        Parameters or tables are there that no instruction has dropped.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()), "accumulator": Out(accumulator_read_signature(config)),
            "read": Out(read_port_signature(config)), "write": Out(write_port_signature(config)),
            "parameters": In(sink_signature(config)), "tables": In(sink_signature(config)),
            "trace": Out(trace_signature(config)), "data_left": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        groups = config.groups
        self.space = words_between(ISSUED, RESULT + WRITE, groups)
        m.submodules.decode = self.decode = Decode()
        m.submodules.sequencer = self.sequencer = Sequencer(config)
        m.submodules.tokens = self.chain = Tokens(config, RESULT + 1)
        m.submodules.parameter_fifo = self.parameter_fifo = Parameters(config)
        m.submodules.table_fifo = self.table_fifo = Tables(config)
        m.submodules.gather = self.gather = Gather(config)
        m.submodules.residuals = self.residuals = Residuals(config, words_between(ISSUED, BYTE, groups) + ROUND_TRIP)
        m.submodules.total = self.total = Total(config)
        m.submodules.average = self.average = Average(config)
        m.submodules.operands = self.operands = Operands(config)
        m.submodules.lanes = self.lanes = Lanes(config)
        m.submodules.writer = self.writer = Writer(config, self.space)
        accepted = self._accept(m)
        self._prefetch(m, accepted)
        self._issue(m)
        self._constants(m, accepted)
        self._flow(m)
        return m

    def _accept(self, m):
        """Takes an instruction in and hands its records out; returns the pulse."""
        unit, decode = self.unit, self.decode
        inside, taken, accepted = Signal(range(IN_FLIGHT + 1)), Signal(), Signal()
        m.d.comb += [
            decode.instruction.eq(unit.instruction.payload), unit.instruction.ready.eq(inside != IN_FLIGHT),
            taken.eq(unit.instruction.valid & unit.instruction.ready), accepted.eq(taken & decode.legal),
            unit.illegal.eq(taken & ~decode.legal), unit.retired.eq(self.writer.retired),
        ]
        with m.If(accepted & ~unit.retired):
            m.d.sync += inside.eq(inside + 1)
        with m.Elif(unit.retired & ~accepted):
            m.d.sync += inside.eq(inside - 1)
        cause = self.sequencer.cause
        m.d.comb += unit.cause.eq(Mux(~inside.any(), Cause.IDLE, Mux(cause == Cause.IDLE, Cause.OVERHEAD, cause)))
        return accepted

    def _queue(self, m, name, layout, record, push):
        """A queue of records; returns its read side."""
        m.submodules[f"{name}_queue"] = fifo = SyncFIFOBuffered(width=layout.size, depth=IN_FLIGHT + 1)
        m.d.comb += [fifo.w_data.eq(record), fifo.w_en.eq(push)]
        return fifo

    def _walk(self, m, name, walk, layout, record, push):
        """An address generator behind a queue of records."""
        fifo = self._queue(m, name, layout, record, push)
        m.submodules[f"{name}_walk"] = walk
        sink = walk.window if layout is WINDOW else walk.region
        m.d.comb += [sink.payload.eq(fifo.r_data), sink.valid.eq(fifo.r_rdy), fifo.r_en.eq(sink.ready)]

    def _walk_residuals(self, m, walk, accepted):
        """Residuals are read once their instruction is launched."""
        fifo = self._queue(m, "residual", REGION, self.decode.residual, accepted & self.decode.adds)
        m.submodules.residual_walk = walk
        launched, pending = Signal(), Signal()
        m.d.comb += [
            launched.eq(self.sequencer.launch | pending), walk.region.payload.eq(fifo.r_data),
            walk.region.valid.eq(fifo.r_rdy & launched), fifo.r_en.eq(walk.region.ready & launched),
        ]
        m.d.sync += pending.eq(launched & ~(fifo.r_rdy & walk.region.ready))

    def _prefetch(self, m, accepted):
        decode, config = self.decode, self.config
        m.submodules.arbiter = arbiter = Arbiter(config)
        windows, places, destinations = WindowWalk(), RegionWalk(), RegionWalk()
        self._walk(m, "window", windows, WINDOW, decode.window, accepted & decode.reads)
        self._walk_residuals(m, places, accepted)
        self._walk(m, "destination", destinations, REGION, decode.region, accepted)
        connect(m, windows.tap, self.gather.tap)
        connect(m, places.place, self.residuals.place)
        connect(m, destinations.place, self.writer.place)
        connect(m, self.residuals.port, arbiter.first)
        connect(m, self.gather.port, arbiter.second)
        connect(m, arbiter.port, flipped(self.read))
        total, average, gathered = self.total, self.average, self.gather.out
        m.d.comb += [
            total.word.payload.eq(gathered.payload), total.word.valid.eq(gathered.valid),
            average.word.payload.eq(gathered.payload), average.word.valid.eq(gathered.valid),
            gathered.ready.eq(Mux(gathered.payload.origin == Origin.BYTES, self.operands.used_bytes,
                                  total.word.ready | average.word.ready)),
            average.push.eq(accepted & decode.averages), average.record.eq(decode.term),
        ]
        work = self._queue(m, "work", WORK, decode.work, accepted)
        m.d.comb += [self.sequencer.work.payload.eq(work.r_data), self.sequencer.work.valid.eq(work.r_rdy),
                     work.r_en.eq(self.sequencer.work.ready)]

    def _stock(self, m, name, most, more, less):
        """Counts what the sequencer may still issue; returns whether there is any."""
        count = Signal(range(most + 1), name=name)
        with m.If(more & ~less):
            m.d.sync += count.eq(count + 1)
        with m.Elif(less & ~more):
            m.d.sync += count.eq(count - 1)
        return count.any()

    def _issue(self, m):
        sequencer, token = self.sequencer, self.sequencer.group.payload
        word = sequencer.word
        takes = {origin: word & (token.origin == origin) for origin in Origin}
        out = Signal(range(self.space + 1))
        with m.If(word & ~self.writer.written):
            m.d.sync += out.eq(out + 1)
        with m.Elif(self.writer.written & ~word):
            m.d.sync += out.eq(out - 1)
        bytes_there = self._stock(m, "words", self.gather.DEPTH, self.gather.pushed, takes[Origin.BYTES])
        m.d.comb += [
            sequencer.space.eq(out != self.space),
            sequencer.residual.eq(self._stock(m, "residual_words", self.residuals.depth, self.residuals.pushed,
                                              word & token.add)),
            sequencer.operand[Origin.BYTES.value].eq(bytes_there),
            sequencer.operand[Origin.SUM.value].eq(self.total.complete),
            sequencer.operand[Origin.AVERAGE.value].eq(self.average.complete),
            self.total.take.eq(takes[Origin.SUM]), self.average.take.eq(takes[Origin.AVERAGE]),
            sequencer.half.eq(self.accumulator.available & ~self.accumulator.release),
            sequencer.gathering.eq(self.gather.busy | self.average.busy),
            sequencer.parameters.eq(self.parameter_fifo.available), sequencer.tables.eq(self.table_fifo.available),
        ]

    def _constants(self, m, accepted):
        """Parameters and tables between LOAD, the sequencer and the lanes."""
        parameters, tables, average, chain = self.parameter_fifo, self.table_fifo, self.average, self.chain
        token, issued = self.sequencer.group.payload, self.sequencer.group.valid
        connect(m, flipped(self.parameters), parameters.sink)
        connect(m, flipped(self.tables), tables.sink)
        m.d.comb += [
            parameters.take.eq(issued & token.release_parameters),
            parameters.take_thresholds.eq(token.origin == Origin.AVERAGE),
            tables.take.eq(issued & token.release_table),
            average.allow.eq(self.sequencer.averaging & ~chain.valid[:SCALE_READ + 1].any()),
            parameters.search.eq(average.read), parameters.offsets.eq(average.offsets),
            self.data_left.eq(parameters.occupied | tables.occupied),
        ]
        for stage, read in ((BIAS_READ, parameters.bias_read), (SCALE_READ, parameters.scale_read)):
            at = chain.at[stage]
            bytes_in = (at.origin == Origin.BYTES) | (at.origin == Origin.AVERAGE)
            m.d.comb += [
                read.valid.eq(chain.valid[stage]), read.payload.group.eq(at.group), read.payload.unit.eq(bytes_in),
                read.payload.release.eq(at.release_parameters),
                read.payload.thresholds.eq(at.origin == Origin.AVERAGE),
            ]
        for lane in range(self.config.lanes):
            m.d.comb += average.thresholds[lane].eq(Cat(parameters.biases[lane], parameters.scales[lane]))
        lanes, decode = self.lanes, self.decode
        m.d.comb += [lanes.push.eq(accepted), lanes.push_add.eq(accepted & decode.adds)]
        m.d.comb += [getattr(lanes, name).eq(getattr(decode, name)) for name in (
            "clamp", "operands", "ratio_b", "add_offset", "ratio_a", "sum_clamp")]

    def _flow(self, m):
        """From stage to stage."""
        chain, operands, lanes, tables, writer = self.chain, self.operands, self.lanes, self.table_fifo, self.writer
        connect(m, self.sequencer.group, chain.enter)
        connect(m, operands.accumulator, flipped(self.accumulator))
        connect(m, writer.port, flipped(self.write))
        connect(m, writer.trace, flipped(self.trace))
        summed, done = chain.at[SUMMED], chain.at[RESULT]
        m.d.comb += [
            operands.issued.eq(self.sequencer.word), operands.pixel.eq(self.sequencer.pixel),
            operands.valid.eq(chain.valid), operands.bytes.eq(self.gather.out.payload.word),
            operands.sums.eq(self.total.sums), operands.average.eq(self.average.result),
            self.total.used.eq(operands.used_sums), self.average.used.eq(operands.used_average),
            lanes.valid.eq(chain.valid), lanes.values.eq(operands.values), lanes.biases.eq(self.parameter_fifo.biases),
            lanes.scales.eq(self.parameter_fifo.scales), lanes.residual.eq(self.residuals.word.payload),
            self.residuals.word.ready.eq(lanes.used_residual),
            tables.enables.eq(chain.valid[SUMMED:RESULT]), tables.use.eq(summed.table), tables.group.eq(summed.group),
            tables.release.eq(summed.release_table), tables.bytes.eq(lanes.bytes),
            writer.valid.eq(chain.valid[RESULT]), writer.final.eq(done.final), writer.group.eq(done.group),
            writer.bytes.eq(tables.result),
        ]
        m.d.comb += [operands.at[stage].eq(chain.at[stage]) for stage in range(OPERAND)]
        m.d.comb += [lanes.at[stage].eq(chain.at[stage]) for stage in range(SUMMED + 1)]
