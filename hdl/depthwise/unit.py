"""The DEPTHWISE unit: wiring of decoder, passes, walker, multipliers and sums."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.array.accumulators import AccumulatorGroup
from arrayloom.hdl.array.banks import AccumulatorBanks
from arrayloom.hdl.array.timing import SUM_HELD, SUM_READ
from arrayloom.hdl.depthwise.decoder import DepthwiseDecoder
from arrayloom.hdl.depthwise.multiplier import ADD, MULTIPLY, DepthwiseMultiplier
from arrayloom.hdl.depthwise.passes import Passes
from arrayloom.hdl.depthwise.walker import Walker
from arrayloom.hdl.interfaces import MEMORY_LATENCY, accumulator_read_signature, read_port_signature, unit_signature
from arrayloom.hdl.pipeline import delay, flag_line
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.registers import Cause

assert MULTIPLY + ADD == SUM_READ + SUM_HELD, "sums must meet what they are added to"


class DepthwiseUnit(Component):
    """Executes ``Depthwise`` instructions; passes and instructions follow each other without a pause.

    An instruction retires when its last word is requested; its bank becomes full by itself some cycles later.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    read : Out(read_port_signature(config))
        A port of the scratchpad.
    sums : In(accumulator_read_signature(config))
        The POST unit's reads of the full bank.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are complete.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()),
            "read": Out(read_port_signature(config)),
            "sums": In(accumulator_read_signature(config)),
            "used": Out(range(ACCUMULATOR_BANKS + 1)),
            "full": Out(range(ACCUMULATOR_BANKS + 1)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.decoder = decoder = DepthwiseDecoder(self.config)
        m.submodules.passes = passes = Passes(self.config)
        m.submodules.walker = walker = Walker(self.config)
        m.submodules.multiplier = multiplier = DepthwiseMultiplier(self.config)
        m.submodules.banks = banks = AccumulatorBanks(self.config)
        connect(m, flipped(self.unit.instruction), decoder.instruction)
        connect(m, decoder.plan, passes.plan)
        connect(m, passes.out, walker.passes)
        moves = walker.valid & walker.taken
        arrives = flag_line(m, moves, MEMORY_LATENCY, "reading")
        m.d.comb += [
            self.read.valid.eq(walker.read), self.read.address.eq(walker.address), self.read.bank.eq(walker.bank),
            walker.taken.eq(~walker.read | self.read.ready), walker.bank_free.eq(banks.free),
            banks.taken.eq(walker.passes.valid & walker.passes.ready & walker.passes.payload.fresh),
            multiplier.valid.eq(arrives[-1]), multiplier.slot.eq(delay(m, walker.slot, arrives[:-1], "slot")),
            multiplier.word.eq(self.read.data),
            self.unit.retired.eq(walker.closes & walker.taken), self.unit.illegal.eq(decoder.illegal | walker.beyond),
            banks.release.eq(self.sums.release), self.sums.available.eq(banks.available), self.sums.last.eq(banks.last),
            self.used.eq(banks.used), self.full.eq(banks.full),
        ]
        self._accumulate(m, multiplier, banks)
        self._report(m, decoder, passes, walker, banks)
        return m

    def _accumulate(self, m: Module, multiplier: DepthwiseMultiplier, banks: AccumulatorBanks) -> None:
        columns = self.config.column_stage
        for first in range(0, self.config.size, columns):
            m.submodules[f"sums_{first // columns}"] = group = AccumulatorGroup(self.config, gaps=True)
            m.d.comb += [
                group.pixel.valid.eq(multiplier.operands), group.pixel.start.eq(multiplier.of.start),
                group.pixel.fresh.eq(multiplier.of.fresh), group.pixel.done.eq(multiplier.of.done),
                group.enable.eq(self.sums.enable), group.bank.eq(banks.drain), group.address.eq(self.sums.address),
            ]
            for column in range(columns):
                m.d.comb += [group.sums[column].eq(multiplier.sums[first + column]),
                             self.sums.data[first + column].eq(group.data[column])]
        m.d.comb += [banks.written.eq(group.written), banks.ended.eq(group.pixel.valid & group.pixel.done),
                     banks.position.eq(group.position)]

    def _report(self, m: Module, decoder: DepthwiseDecoder, passes: Passes, walker: Walker, banks: AccumulatorBanks) -> None:
        cause = Signal(Cause)
        waits = walker.read & ~self.read.ready
        with m.If(waits):
            m.d.sync += cause.eq(Cause.ACTIVATIONS)
        with m.Elif(walker.working):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(passes.out.valid & passes.out.payload.fresh & ~banks.free):
            m.d.sync += cause.eq(Cause.DRAINING)
        with m.Elif(Cat(decoder.busy, passes.busy, walker.valid).any()):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.IDLE)
        m.d.comb += self.unit.cause.eq(cause)
