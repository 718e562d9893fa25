"""The POST unit: wiring of its parts, and the counts that keep them in step."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.flow_control import room_for, stock_of
from arrayloom.hdl.interfaces import (
    accumulator_read_signature,
    instruction_layout,
    read_port_signature,
    sink_signature,
    trace_signature,
    unit_signature,
    write_port_signature,
)
from arrayloom.hdl.post.average import Average
from arrayloom.hdl.post.decode import Decode, optional_drain
from arrayloom.hdl.post.fetch import ROUND_TRIP, Arbiter, Gather, Residuals
from arrayloom.hdl.post.lanes import Lanes
from arrayloom.hdl.post.operands import Operands
from arrayloom.hdl.post.parameters import Parameters
from arrayloom.hdl.post.records import IN_FLIGHT, REGION, RESIDUAL, SETTINGS, WINDOW, WORK, Origin
from arrayloom.hdl.post.sequencer import Sequencer
from arrayloom.hdl.post.settings import Backlog
from arrayloom.hdl.post.stages import BIAS_READ, CAPTURED, ISSUED, REQUANTIZED, RESULT, SCALE_READ, SUMMED, words_between
from arrayloom.hdl.post.tables import LookupTables
from arrayloom.hdl.post.tokens import Tokens, at
from arrayloom.hdl.post.total import Total
from arrayloom.hdl.post.walk import RegionWalk, WindowWalk
from arrayloom.hdl.post.writer import Writer
from arrayloom.isa.config import Config
from arrayloom.isa.registers import Cause

WRITE = 3   # cycles from a word's last group to the write that makes room for another


class Post(Component):
    """Drains accumulators, pools, and passes over the scratchpad; several instructions are in flight.

    Operands are prefetched, so an instruction's reads may precede the last write of the previous one: an instruction that
    depends on an earlier one must wait for it with the unit's own ``wait`` bit.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    accumulator : Out(accumulator_read_signature(config))
        From the cycle after ``release`` on, ``available`` refers to the next bank.
    read : Out(read_port_signature(config))
        A port of the scratchpad.
    write : Out(write_port_signature(config))
        A port of the scratchpad.
    parameters : In(sink_signature(config))
        Filled by LOAD.
    tables : In(sink_signature(config))
        Filled by LOAD.
    trace : Out(trace_signature(config))
        Every word written.
    data_left : Out(1)
        There are parameters or lookup tables that no instruction has dropped.
    parameters_held : Out(range(parameter_entries + 1))
        Entries that no instruction has used up.
    tables_held : Out(range(table_pages + 1))
        Whole pages that no instruction has used up.
    drains : Out(1)
        Where a unit next to the array has sums: a Drain is accepted.
    of_optional : Out(1)
        With ``drains``: of that unit's sums.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        optional = {"drains": Out(1), "of_optional": Out(1)} if config.has_sums else {}
        super().__init__({
            "unit": Out(unit_signature()), "accumulator": Out(accumulator_read_signature(config)),
            "read": Out(read_port_signature(config)), "write": Out(write_port_signature(config)),
            "parameters": In(sink_signature(config)), "tables": In(sink_signature(config)),
            "trace": Out(trace_signature(config)), "data_left": Out(1),
            "parameters_held": Out(range(config.parameter_entries + 1)), "tables_held": Out(range(config.table_pages + 1)),
            **optional,
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, groups = self.config, self.config.groups
        self.space = words_between(ISSUED, RESULT + WRITE, groups)
        m.submodules.decode = self.decode = Decode(optional_drain(config))
        m.submodules.sequencer = self.sequencer = Sequencer(config)
        m.submodules.tokens = self.tokens = Tokens(config, RESULT + 1)
        m.submodules.parameter_fifo = self.parameter_fifo = Parameters(config)
        m.submodules.table_fifo = self.table_fifo = LookupTables(config)
        m.submodules.gather = self.gather = Gather(config)
        m.submodules.residuals = self.residuals = Residuals(config, words_between(ISSUED, REQUANTIZED, groups) + ROUND_TRIP)
        m.submodules.total = self.total = Total(config)
        m.submodules.average = self.average = Average(config)
        m.submodules.operands = self.operands = Operands(config)
        m.submodules.lanes = self.lanes = Lanes(config)
        m.submodules.writer = self.writer = Writer(config, self.space)
        self.beyond = Signal(name="beyond")    # an instruction accesses words outside the scratchpad
        accepted, slot = self._accept(m)
        self._prefetch(m, accepted)
        self._records(m, accepted, slot)
        self._issue(m)
        self._constants(m)
        self._flow(m)
        if (optional := optional_drain(config)) is not None:
            opcode = data.View(instruction_layout(optional), self.unit.instruction.payload).opcode
            m.d.comb += [self.drains.eq(accepted & ~self.decode.reads),
                         self.of_optional.eq(opcode == optional.OPCODE)]
        return m

    def _accept(self, m: Module) -> tuple[Value, Value]:
        """Decodes an instruction in one cycle and distributes its records in the next; returns the pulse and the slot."""
        unit, decode = self.unit, self.decode
        inside, slot = Signal(range(IN_FLIGHT + 1)), Signal(range(IN_FLIGHT))
        looked, checks = Signal(name="looked"), Signal.like(decode.checks, reset_less=True, name="checks")
        legal = checks.all()
        looks, taken, accepted = Signal(), Signal(), Signal()
        m.d.sync += looked.eq(looks)
        with m.If(looks):
            m.d.sync += checks.eq(decode.checks)
        m.d.comb += [
            decode.instruction.eq(unit.instruction.payload), unit.instruction.ready.eq(looked),
            looks.eq(unit.instruction.valid & ~looked & (inside != IN_FLIGHT)),
            taken.eq(unit.instruction.valid & looked), accepted.eq(taken & legal),
            unit.illegal.eq((taken & ~legal) | self.sequencer.mismatch | self.beyond), unit.retired.eq(self.writer.retired),
        ]
        with m.If(accepted):
            m.d.sync += slot.eq(slot + 1)
        with m.If(accepted & ~unit.retired):
            m.d.sync += inside.eq(inside + 1)
        with m.Elif(unit.retired & ~accepted):
            m.d.sync += inside.eq(inside - 1)
        cause = self.sequencer.cause
        m.d.comb += unit.cause.eq(Mux(~inside.any(), Cause.IDLE, Mux(cause == Cause.IDLE, Cause.OVERHEAD, cause)))
        return accepted, slot

    def _backlog(self, m: Module, name: str, layout: data.StructLayout, push: Value) -> stream.Interface:
        """Queues that record of each instruction with ``push``; returns the stream of records."""
        m.submodules[f"{name}_backlog"] = backlog = Backlog(layout)
        m.d.comb += [backlog.record.eq(getattr(self.decode, name)), backlog.push.eq(push)]
        return backlog.out

    def _prefetch(self, m: Module, accepted: Value) -> None:
        decode, config = self.decode, self.config
        m.submodules.arbiter = arbiter = Arbiter(config)
        m.submodules.windows, m.submodules.places, m.submodules.destinations = windows, places, destinations = (
            WindowWalk(config), RegionWalk(config), RegionWalk(config))
        connect(m, self._backlog(m, "window", WINDOW, accepted & decode.reads), windows.window)
        connect(m, self._backlog(m, "region", REGION, accepted), destinations.region)
        connect(m, self._backlog(m, "work", WORK, accepted), self.sequencer.work)
        residuals, may_read = self._backlog(m, "residual", RESIDUAL, accepted & decode.adds), Signal()
        # at a Drain's launch the walk has ended: the previous instruction has had all its residuals
        m.d.comb += [
            may_read.eq(~residuals.payload.drains | self.sequencer.launch),
            places.region.payload.eq(residuals.payload.region), places.region.valid.eq(residuals.valid & may_read),
            residuals.ready.eq(places.region.ready & may_read),
        ]
        m.d.comb += self.beyond.eq(Cat(walk.beyond for walk in (windows, places, destinations)).any())
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
        ]

    def _records(self, m: Module, accepted: Value, slot: Value) -> None:
        decode, lanes, average = self.decode, self.lanes, self.average
        m.d.comb += [
            lanes.push.eq(accepted), lanes.adds.eq(decode.adds), lanes.slot.eq(slot),
            average.push.eq(accepted & decode.averages), average.record.eq(decode.term),
        ]
        m.d.comb += [getattr(lanes, name).eq(getattr(decode, name)) for name in SETTINGS]

    def _issue(self, m: Module) -> None:
        sequencer, token = self.sequencer, self.sequencer.group.payload
        word = sequencer.word
        takes = {origin: sequencer.takes[origin] for origin in Origin}
        bytes_there = stock_of(m, "words", self.gather.DEPTH, self.gather.pushed, takes[Origin.BYTES])
        m.d.comb += [
            sequencer.space.eq(room_for(m, self.space, word, self.writer.written)),
            sequencer.residual.eq(stock_of(m, "residual_words", self.residuals.depth, self.residuals.pushed,
                                              word & token.add)),
            sequencer.operand[Origin.BYTES].eq(bytes_there),
            sequencer.operand[Origin.SUM].eq(self.total.complete),
            sequencer.operand[Origin.AVERAGE].eq(self.average.complete),
            self.total.take.eq(takes[Origin.SUM]), self.average.take.eq(takes[Origin.AVERAGE]),
            sequencer.bank.eq(self.accumulator.available & ~self.accumulator.release),
            sequencer.last.eq(self.accumulator.last),
            sequencer.parameters.eq(self.parameter_fifo.word), sequencer.thresholds.eq(self.parameter_fifo.thresholds),
            sequencer.lookup_table.eq(self.table_fifo.some),
        ]

        # one cycle late: only the cause of a wait depends on it
        m.d.sync += sequencer.gathering.eq(self.gather.busy | self.average.busy)

    def _constants(self, m: Module) -> None:
        """Parameters and lookup tables between LOAD, the sequencer and the lanes."""
        parameters, tables, average, chains = self.parameter_fifo, self.table_fifo, self.average, self.tokens.chains
        token, issued = self.sequencer.group.payload, self.sequencer.group.valid
        connect(m, flipped(self.parameters), parameters.sink)
        connect(m, flipped(self.tables), tables.sink)
        m.d.comb += [
            parameters.take.eq(issued & token.release_parameters),
            parameters.take_thresholds.eq(token.origin == Origin.AVERAGE),
            tables.take.eq(issued & token.release_lookup_table),
            average.allow.eq(self.sequencer.averaging & ~chains.valid[0][:SCALE_READ + 1].any()),
            parameters.search.eq(average.read), parameters.offsets.eq(average.offsets),
            self.data_left.eq(parameters.occupied | tables.occupied),
            self.parameters_held.eq(parameters.available), self.tables_held.eq(tables.available),
        ]
        for stage, read in ((BIAS_READ, parameters.bias_read), (SCALE_READ, parameters.scale_read)):
            group = at(chains, stage)
            averages = group.origin == Origin.AVERAGE
            m.d.comb += [
                read.valid.eq(group.valid), read.payload.group.eq(group.group), read.payload.thresholds.eq(averages),
                read.payload.unit.eq((group.origin == Origin.BYTES) | averages),
                read.payload.release.eq(group.release_parameters),
            ]
        for lane in range(self.config.lanes):
            m.d.comb += average.thresholds[lane].eq(Cat(parameters.biases[lane], parameters.scales[lane]))

    def _flow(self, m: Module) -> None:
        """Connects the stages."""
        operands, lanes, tables, writer = self.operands, self.lanes, self.table_fifo, self.writer
        chains = self.tokens.chains
        connect(m, self.sequencer.group, self.tokens.enter)
        connect(m, operands.accumulator, flipped(self.accumulator))
        connect(m, writer.port, flipped(self.write))
        connect(m, writer.trace, flipped(self.trace))
        for part in (operands, lanes):
            for name in chains.shape().members:
                m.d.comb += [there.eq(here) for there, here in zip(part.chains[name], chains[name], strict=True)]
        summed, done = at(chains, SUMMED), at(chains, RESULT)
        m.d.comb += [
            operands.issued.eq(self.sequencer.word), operands.pixel.eq(self.sequencer.pixel),
            operands.drains.eq(self.sequencer.group.payload.origin == Origin.ACCUMULATOR),
            operands.closing.eq(self.sequencer.group.payload.closing),
            operands.bytes.eq(self.gather.out.payload.word),
            operands.sums.eq(self.total.sums), operands.average.eq(self.average.result),
            self.average.wanted.eq(at(chains, CAPTURED).group),
            self.total.used.eq(operands.used_sums), self.average.used.eq(operands.used_average),
            lanes.values.eq(operands.values), lanes.biases.eq(self.parameter_fifo.biases),
            lanes.scales.eq(self.parameter_fifo.scales), lanes.residual.eq(self.residuals.word.payload),
            self.residuals.word.ready.eq(lanes.used_residual),
            tables.enables.eq(chains.valid[0][SUMMED:RESULT]), tables.use.eq(summed.lookup_table),
            tables.group.eq(summed.group), tables.release.eq(summed.release_lookup_table), tables.bytes.eq(lanes.bytes),
            writer.valid.eq(done.valid), writer.final.eq(done.final), writer.group.eq(done.group),
            writer.bytes.eq(tables.result),
        ]
