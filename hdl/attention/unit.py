"""The ATTENTION unit: one instruction after the other, each by the engine that knows it."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.utils import exact_log2

from arrayloom.hdl.attention.mover import Mover
from arrayloom.hdl.attention.norm import NormEngine
from arrayloom.hdl.attention.reader import Reader
from arrayloom.hdl.attention.softmax import SoftmaxEngine
from arrayloom.hdl.attention.sums import SumBanks
from arrayloom.hdl.interfaces import (
    INSTRUCTION,
    accumulator_read_signature,
    instruction_layout,
    read_port_signature,
    unit_signature,
    write_port_signature,
)
from arrayloom.hdl.weight_fifo import feed_signature
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import EXTENT, FeedWeights, Moments, Normalize, Softmax, Turn
from arrayloom.isa.registers import Cause

COUNTS: dict[type[Instruction], tuple[str, ...]] = {
    FeedWeights: ("tiles", "rows"), Turn: ("tiles", "rows"), Softmax: ("width", "factor"),
    Moments: ("blocks", "channels", "width", "epsilon"), Normalize: ("width",)}
"""Fields that must not be zero."""


class AttentionUnit(Component):
    """Executes ``FeedWeights``, ``Turn``, ``Softmax``, ``Moments`` and ``Normalize``.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    read : Out(read_port_signature(config))
    write : Out(write_port_signature(config))
        Ports of the scratchpad.
    feed : Out(feed_signature(config))
        The weight FIFO.
    sums : In(accumulator_read_signature(config))
        The full bank, for the POST unit.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are complete.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()), "read": Out(read_port_signature(config)),
            "write": Out(write_port_signature(config)), "feed": Out(feed_signature(config)),
            "sums": In(accumulator_read_signature(config)),
            "used": Out(range(ACCUMULATOR_BANKS + 1)), "full": Out(range(ACCUMULATOR_BANKS + 1)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self.config
        m.submodules.reader = reader = Reader(config)
        m.submodules.mover = mover = Mover(config)
        m.submodules.softmax = softmax = SoftmaxEngine(config)
        m.submodules.norm = norm = NormEngine(config)
        m.submodules.banks = banks = SumBanks(config)
        fields = Signal(INSTRUCTION, reset_less=True)
        opcode = data.View(instruction_layout(Instruction), fields).opcode
        engines: dict[Any, tuple[type[Instruction], ...]] = {
            mover: (FeedWeights, Turn), softmax: (Softmax,), norm: (Moments, Normalize)}
        chosen = [Cat(opcode == cls.OPCODE for cls in classes).any() for classes in engines.values()]
        begins, works = Signal(), Signal(name="works")
        fills = Cat(opcode == cls.OPCODE for cls in (Softmax, Normalize)).any()
        done = Cat(engine.done for engine in engines).any()
        connect(m, reader.read, flipped(self.read))
        connect(m, mover.write, flipped(self.write))
        connect(m, mover.feed, flipped(self.feed))
        connect(m, banks.read, flipped(self.sums))
        for engine, own in zip(engines, chosen, strict=True):
            m.d.comb += [engine.fields.eq(fields), engine.go.eq(begins & own), engine.valid.eq(reader.valid & own),
                         engine.word.eq(reader.word)]
        asks = [engine.ask & own for engine, own in zip(engines, chosen, strict=True)]
        m.d.comb += [reader.go.eq(Cat(asks).any()),
                     reader.take.eq(Cat(engine.take & own for engine, own in zip(engines, chosen, strict=True)).any())]
        for engine, own in zip(engines, chosen, strict=True):
            with m.If(own):
                m.d.comb += [reader.first.eq(engine.first), reader.step.eq(engine.step), reader.count.eq(engine.count)]
        self._fill(m, banks, softmax, norm, chosen[1])
        m.d.comb += [banks.taken.eq(begins & fills), self.used.eq(banks.used), self.full.eq(banks.full)]
        kept = Signal(EXTENT)       # pixels whose moments are there
        with m.If(done & (opcode == Moments.OPCODE)):
            m.d.sync += kept.eq(data.View(instruction_layout(Moments), fields).width)
        holds, checked, legal = Signal(name="holds"), Signal(name="checked"), Signal(reset_less=True)
        failed = Signal()
        m.d.comb += [
            self.unit.instruction.ready.eq(~holds & ~failed),
            begins.eq(checked & ~works & legal & (banks.free | ~fills) & ~failed),
            self.unit.illegal.eq((checked & ~works & ~legal & ~failed) | reader.beyond | mover.beyond | softmax.illegal),
            self.unit.retired.eq(done),
        ]
        with m.If(self.unit.instruction.valid & self.unit.instruction.ready):
            m.d.sync += [fields.eq(self.unit.instruction.payload), holds.eq(1)]
        with m.Elif(done):
            m.d.sync += [holds.eq(0), works.eq(0), checked.eq(0)]
        with m.Elif(holds & ~checked):
            m.d.sync += [checked.eq(1), legal.eq(self._is_legal(fields, kept))]
        with m.Elif(begins):
            m.d.sync += works.eq(1)
        with m.If(self.unit.illegal):
            m.d.sync += failed.eq(1)
        self._report(m, holds, works, checked & fills & ~banks.free, mover.full)
        return m

    def _fill(self, m: Module, banks: SumBanks, softmax: SoftmaxEngine, norm: NormEngine, of_softmax: Any) -> None:
        for name, port in (("write", banks.write), ("last", banks.done), ("group", banks.group), ("address", banks.address),
                           ("sums", banks.sums)):
            m.d.comb += port.eq(Mux(of_softmax, getattr(softmax, name), getattr(norm, name)))

    def _is_legal(self, fields: Signal, kept: Signal) -> Any:
        """No count is zero, none is beyond a bank or a square, channels fill all blocks but for some of the last, there are
        moments of as many pixels as are normalized, and no reserved bit is set."""
        depth, size = self.config.accumulator_depth, self.config.size
        found = []
        for cls, counts in COUNTS.items():
            view = data.View(instruction_layout(cls), fields)
            rules = [getattr(view, name).any() for name in counts] + [~view.reserved.any()]
            if "width" in counts:
                rules.append(view.width <= depth)
            if cls is Normalize:
                rules.append(view.width == kept)
            if "rows" in counts:
                rules.append(view.rows <= size)
            if "channels" in counts:
                rules.append(view.blocks == (view.channels + size - 1) >> exact_log2(size))
            found.append((view.opcode == cls.OPCODE) & Cat(rules).all())
        return Cat(found).any()

    def _report(self, m: Module, holds: Signal, works: Signal, waits: Any, full: Any) -> None:
        cause = Signal(Cause)
        with m.If(works & full):
            m.d.sync += cause.eq(Cause.SPACE)
        with m.Elif(works):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(waits):
            m.d.sync += cause.eq(Cause.DRAINING)
        with m.Elif(holds):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.IDLE)
        m.d.comb += self.unit.cause.eq(cause)
