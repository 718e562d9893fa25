"""The ARRAY unit: wiring of sequencer, weight loader, systolic array and accumulators."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.array.accumulators import AccumulatorGroup
from arrayloom.hdl.array.banks import AccumulatorBanks
from arrayloom.hdl.array.decoder import Decoder
from arrayloom.hdl.array.expander import Expander
from arrayloom.hdl.array.loader import WeightLoader
from arrayloom.hdl.array.signatures import PIXEL
from arrayloom.hdl.array.streamer import Streamer
from arrayloom.hdl.array.systolic import SystolicArray
from arrayloom.hdl.array.timing import REQUEST, WORD, Timing
from arrayloom.hdl.interfaces import MEMORY_LATENCY, accumulator_read_signature, read_port_signature, unit_signature
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.hdl.weight_fifo import weight_read_signature
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.registers import Cause


class ArrayUnit(Component):
    """Executes ``Convolve`` instructions; tiles and instructions follow each other without a pause while weights last.

    An instruction retires when its last activation is being read; its bank then goes to the POST unit without another
    instruction.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    read : Out(read_port_signature(config))
        A port of the scratchpad that is always ready.
    weights : Out(weight_read_signature(config))
        The reading end of the weight FIFO.
    accumulator : In(accumulator_read_signature(config))
        The full bank, for the POST unit.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are complete.
    data_left : Out(1)
        A bank is not empty, or a tile has left the FIFO but no step has taken it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()),
            "read": Out(read_port_signature(config)),
            "weights": Out(weight_read_signature(config)),
            "accumulator": In(accumulator_read_signature(config)),
            "used": Out(range(ACCUMULATOR_BANKS + 1)),
            "full": Out(range(ACCUMULATOR_BANKS + 1)),
            "data_left": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.decoder = decoder = Decoder(self.config)
        m.submodules.expander = expander = Expander(self.config)
        m.submodules.streamer = streamer = Streamer(self.config)
        m.submodules.loader = loader = WeightLoader(self.config)
        m.submodules.banks = banks = AccumulatorBanks(self.config)
        connect(m, decoder.plan, expander.plan)
        connect(m, expander.step, streamer.step)
        connect(m, flipped(self.unit.instruction), decoder.instruction)
        connect(m, loader.weights, flipped(self.weights))
        taken = streamer.step.valid & streamer.step.ready
        m.d.comb += [
            streamer.tile_ready.eq(loader.ready), streamer.bank_free.eq(banks.free),
            loader.taken.eq(taken), banks.taken.eq(taken & streamer.step.payload.fresh),
            banks.release.eq(self.accumulator.release),
            self.accumulator.available.eq(banks.available), self.accumulator.last.eq(banks.last),
            self.data_left.eq((banks.used != 0) | loader.holds),
            self.used.eq(banks.used), self.full.eq(banks.full),
            self.read.valid.eq(streamer.read), self.read.address.eq(streamer.address),
            self.read.bank.eq(streamer.bank),
            self.unit.retired.eq(streamer.retired), self.unit.illegal.eq(decoder.illegal | streamer.beyond),
        ]
        pixels = self._pixels(m, streamer)
        sums = self._multiply(m, streamer, loader, pixels[WORD - REQUEST])
        self._accumulate(m, banks, sums, pixels)
        self._report(m, streamer, loader, banks, decoder)
        return m

    def _pixels(self, m: Module, streamer: Streamer) -> list[data.View]:
        """The streamer's pixel delayed by 0, 1, ... cycles, up to the tag of the last column group."""
        timing = Timing(self.config)
        cycles = WORD - REQUEST + timing.tag + timing.column_groups - 1
        lines = {name: flag_line(m, getattr(streamer.pixel, name), cycles, f"{name}_line") for name, _ in PIXEL}
        pixels = [Signal(PIXEL, name=f"pixel_{stage}") for stage in range(cycles + 1)]
        for stage, pixel in enumerate(pixels):
            m.d.comb += [getattr(pixel, name).eq(line[stage]) for name, line in lines.items()]
        return pixels

    def _multiply(self, m: Module, streamer: Streamer, loader: WeightLoader, pixel: data.View) -> data.View:
        m.submodules.systolic = systolic = SystolicArray(self.config)
        valid = flag_line(m, streamer.pixel.valid, MEMORY_LATENCY, "reading")
        outside = delay(m, streamer.outside, valid[:-1], "outside")
        padding = delay(m, streamer.padding, valid[:-1], "padding")
        padded = Cat(padding for _ in range(self.config.size))
        word = Mux(outside, padded, self.read.data)
        if self.config.attention_lanes:
            word = self._centre(word, padding, delay(m, streamer.centred, valid[:-1], "centred"))
        m.d.comb += [
            systolic.word.as_value().eq(data_register(m, word, valid[-1], "word")),
            systolic.valid.eq(pixel.valid), systolic.start.eq(pixel.start),
            systolic.write.eq(loader.write), systolic.row.eq(loader.row),
            systolic.weights.eq(loader.word),
        ]
        return systolic.sums

    def _centre(self, word: Value, zero: Value, centred: Value) -> Value:
        """The bytes of a word as operands of the array, less a zero point where they are ``centred``."""
        less = Mux(centred, zero, 0).as_signed()
        bits = self.config.operand_bits
        return Cat((word.word_select(row, 8).as_signed() - less)[:bits] for row in range(self.config.size))

    def _accumulate(self, m: Module, banks: AccumulatorBanks, sums: data.View, pixels: list[data.View]) -> None:
        timing = Timing(self.config)
        columns = self.config.column_stage
        for index in range(timing.column_groups):
            m.submodules[f"accumulators_{index}"] = group = AccumulatorGroup(self.config)
            m.d.comb += [
                group.pixel.eq(pixels[WORD - REQUEST + timing.tag + index]),
                group.enable.eq(self.accumulator.enable), group.bank.eq(banks.drain),
                group.address.eq(self.accumulator.address),
            ]
            for column in range(columns):
                m.d.comb += [group.sums[column].eq(sums[index * columns + column]),
                             self.accumulator.data[index * columns + column].eq(group.data[column])]
        # the sums of the last group come last
        done = group.pixel.valid & group.pixel.done
        m.d.comb += [banks.written.eq(group.written), banks.ended.eq(done), banks.position.eq(group.position)]

    def _report(self, m: Module, streamer: Streamer, loader: WeightLoader,
                banks: AccumulatorBanks, decoder: Decoder) -> None:
        cause = Signal(Cause)
        with m.If(streamer.working):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(streamer.step.valid & streamer.step.payload.fresh & ~banks.free):
            m.d.sync += cause.eq(Cause.DRAINING)
        with m.Elif(streamer.step.valid & ~loader.ready):
            m.d.sync += cause.eq(Cause.WEIGHTS)
        with m.Elif(streamer.step.valid | decoder.busy):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.IDLE)
        m.d.comb += self.unit.cause.eq(cause)
