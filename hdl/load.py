"""The LOAD unit: transfers weights, parameters, lookup tables and activations from memory."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, PureInterface
from amaranth.utils import exact_log2

from arrayloom.hdl.axi import read_signature
from arrayloom.hdl.bursts import Bursts, Place, burst_layout
from arrayloom.hdl.flow_control import Elastic
from arrayloom.hdl.interfaces import bank_of, instruction_layout, sink_signature, unit_signature, write_port_signature
from arrayloom.hdl.windows import window_signature
from arrayloom.isa.bus import ADDRESS_BITS, BURST_WORDS
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    WORD_ADDRESS,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
)
from arrayloom.isa.registers import Cause

OUTSTANDING = 16    # bursts


def longest_burst(config: Config) -> int:
    """A burst must fit next to an incomplete tile in the weight FIFO, or LOAD and ARRAY would wait for each other."""
    return min(BURST_WORDS, config.weight_words // 2)


class Load(Component):
    """Executes LoadWeights, LoadParameters, LoadLookupTable and LoadActivations.

    Takes the next instruction while words of earlier ones are in transit. Words for a FIFO are requested only
    if it has room for them and for all words in transit to it, so they never stall the bus.

    Parameters
    ----------
    config : Config

    Members
    -------
    unit : Out(unit_signature())
        The issue queue.
    bus : Out(read_signature(config))
    base : In(ADDRESS_BITS)
        Byte address that memory addresses are relative to.
    window : In(window_signature(config))
        The part of memory that may be accessed.
    weights : Out(sink_signature(config))
        The weight FIFO; its ``free`` may lag a word by one cycle, like those of the next two.
    parameters : Out(sink_signature(config))
        The parameter FIFO.
    tables : Out(sink_signature(config))
        The lookup table FIFO.
    write : Out(write_port_signature(config))
        A port of the scratchpad.
    bus_error : Out(1)
        A pulse: the bus answered with an error.
    outside : Out(1)
        An instruction accesses memory outside the window; stays set, together with ``outside_address``.
    outside_address : Out(ADDRESS_BITS)
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "unit": Out(unit_signature()),
            "bus": Out(read_signature(config)),
            "base": In(ADDRESS_BITS),
            "window": In(window_signature(config)),
            "weights": Out(sink_signature(config)),
            "parameters": Out(sink_signature(config)),
            "tables": Out(sink_signature(config)),
            "write": Out(write_port_signature(config)),
            "bus_error": Out(1),
            "outside": Out(1),
            "outside_address": Out(ADDRESS_BITS),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bursts = self.bursts = Bursts(self.config, longest_burst(self.config))
        record = data.StructLayout({"chip": WORD_ADDRESS, "place": Place, "final": 1})
        m.submodules.records = self.records = SyncFIFOBuffered(width=record.size, depth=OUTSTANDING)
        self.record = data.View(record, self.records.r_data)
        self.sinks = {Place.WEIGHTS: self.weights, Place.PARAMETERS: self.parameters, Place.TABLES: self.tables}
        self.pending = Signal(burst_layout(), reset_less=True)
        self.pending_valid = Signal()
        self.enough = Signal()  # there is room for the pending burst
        self.room = Signal()    # there was room; the burst is offered to the bus
        self.asks = Signal()    # the pending burst goes to the bus
        self.filled = Signal()  # a word has arrived and is not yet delivered
        self.moves = Signal()   # the word moves on to the buffer before the destinations
        self.writes = Signal()  # an activation is to be written
        self.placed = Signal()  # a word goes to its destination
        self.sent = Signal(len(Place))  # bit p: to the FIFO of destination p
        m.d.comb += [self.bursts.base.eq(self.base), self.bursts.window.low.eq(self.window.low),
                     self.bursts.window.high.eq(self.window.high), self.outside.eq(self.bursts.outside),
                     self.outside_address.eq(self.bursts.outside_address)]
        self._decode(m)
        self._request(m)
        self._receive(m)
        self._cause(m)
        return m

    def _decode(self, m: Module) -> None:
        instruction, region = self.unit.instruction, self.bursts.region
        partial = Signal()
        m.d.comb += [region.valid.eq(instruction.valid), instruction.ready.eq(region.ready)]
        with m.Switch(data.View(instruction_layout(Instruction), instruction.payload).opcode):
            for cls, place in ((LoadWeights, Place.WEIGHTS), (LoadParameters, Place.PARAMETERS),
                               (LoadLookupTable, Place.TABLES), (LoadActivations, Place.ACTIVATIONS)):
                with m.Case(cls.OPCODE):
                    fields = data.View(instruction_layout(cls), instruction.payload)
                    m.d.comb += [region.payload.place.eq(place), region.payload.address.eq(fields.address)]
                    m.d.comb += self._shape(cls, fields, region.payload)
                    if cls is LoadWeights:
                        m.d.comb += partial.eq(fields.words[:exact_log2(self.config.size)].any())
        m.d.sync += self.unit.illegal.eq(self.bursts.illegal | (instruction.valid & instruction.ready & partial))

    def _shape(self, cls: type[Instruction], fields: data.View, region: data.View) -> list[Any]:
        if cls is LoadActivations:
            return [region.words.eq(fields.words), region.rows.eq(fields.rows), region.chip.eq(fields.destination),
                    region.memory_pitch.eq(fields.memory_pitch), region.chip_pitch.eq(fields.chip_pitch)]
        if cls is LoadWeights:
            words = fields.words
        elif cls is LoadParameters:
            words = fields.entries << exact_log2(self.config.parameter_beats)
        else:
            words = LOOKUP_TABLE_WORDS
        return [region.words.eq(words), region.rows.eq(1)]

    def _request(self, m: Module) -> None:
        """Holds one burst until there is room for its words, then requests it and records their destination."""
        burst, request, records = self.bursts.burst, self.bus.request, self.records
        enough = self.enough
        credits = {place: self._credit(m, place, sink) for place, sink in self.sinks.items()}
        with m.Switch(self.pending.place):
            with m.Case(Place.ACTIVATIONS):
                m.d.comb += enough.eq(1)
            for place, credit in credits.items():
                with m.Case(place):
                    m.d.comb += enough.eq(credit >= self.pending.words)
        m.d.comb += [
            burst.ready.eq(~self.pending_valid),
            request.valid.eq(self.room), request.payload.address.eq(self.pending.address),
            request.payload.beats.eq((self.pending.words - 1)[:exact_log2(BURST_WORDS)]),
            self.asks.eq(request.valid & request.ready),
            records.w_en.eq(self.asks),
            records.w_data.eq(Cat(self.pending.chip, self.pending.place, self.pending.final)),
        ]
        with m.If(burst.valid & burst.ready):
            m.d.sync += [self.pending.eq(burst.payload), self.pending_valid.eq(1)]
        with m.Elif(self.asks):
            m.d.sync += [self.pending_valid.eq(0), self.room.eq(0)]
        with m.Elif(self.pending_valid & enough & records.w_rdy):
            m.d.sync += self.room.eq(1)

    def _credit(self, m: Module, place: Place, sink: PureInterface) -> Signal:
        """The free space of a sink, minus the words in transit to it."""
        way = Signal(range(OUTSTANDING * BURST_WORDS + 1), name=f"way_{place.name.lower()}")
        credit = Signal(signed(len(sink.free) + 2), name=f"credit_{place.name.lower()}")
        # one cycle after the word has gone to the sink, whose count of free words may lag
        gone = Signal(name=f"gone_{place.name.lower()}")
        asks = self.asks & (self.pending.place == place)
        m.d.sync += [gone.eq(self.sent[place]), credit.eq(sink.free - way)]
        with m.If(asks | gone):
            m.d.sync += way.eq(way + Mux(asks, self.pending.words, 0) - gone)
        return credit

    def _receive(self, m: Module) -> None:
        """Words of the bus with their destinations, in one order for all destinations, in which instructions retire.

        Two registers for the words, so that a stalled write reaches the bus one cycle later. They sample
        the bus unconditionally.
        """
        beat, record = self.bus.beat, self.record
        enter = self._placing(m)
        word, spare = (Signal.like(beat.payload, reset_less=True, name=name) for name in ("word", "spare"))
        spare_filled, first = Signal(name="spare_filled"), Signal(init=1, name="first")
        following = Signal(WORD_ADDRESS, reset_less=True)
        arrives, address = Signal(), Mux(first, record.chip, following)
        m.d.comb += [
            beat.ready.eq(~spare_filled), arrives.eq(beat.valid & beat.ready),
            enter.valid.eq(self.filled & self.records.r_rdy), self.moves.eq(enter.valid & enter.ready),
            enter.payload.data.eq(word.data), enter.payload.address.eq(address),
            enter.payload.bank.eq(bank_of(address, self.config)), enter.payload.retires.eq(word.last & record.final),
            enter.payload.places.eq(Cat(record.place == place for place in Place)),
            self.records.r_en.eq(self.moves & word.last),
        ]
        with m.If(~spare_filled):
            m.d.sync += spare.eq(beat.payload)
        with m.If(self.moves | ~self.filled):
            m.d.sync += [word.eq(Mux(spare_filled, spare, beat.payload)),
                         self.filled.eq(spare_filled | arrives), spare_filled.eq(0)]
        with m.Elif(arrives):
            m.d.sync += spare_filled.eq(1)
        with m.If(self.moves):
            m.d.sync += [first.eq(word.last), following.eq(address + 1)]
        m.d.sync += self.bus_error.eq(arrives & beat.payload.error)

    def _placing(self, m: Module) -> stream.Interface:
        """The buffer from which words go to their destinations; returns its input."""
        m.submodules.placing = placing = Elastic(data.StructLayout({
            "address": WORD_ADDRESS, "bank": range(self.config.activation_banks), "data": self.config.word_bits,
            "places": len(Place), "retires": 1,
        }))
        leave, write, going = placing.leave, self.write, placing.leave.payload.places
        m.d.comb += [
            write.valid.eq(leave.valid & going[Place.ACTIVATIONS]), write.address.eq(leave.payload.address),
            write.bank.eq(leave.payload.bank), write.data.eq(leave.payload.data),
            leave.ready.eq(write.ready | ~going[Place.ACTIVATIONS]),
            self.writes.eq(write.valid), self.placed.eq(leave.valid & leave.ready),
        ]
        for place, sink in self.sinks.items():
            m.d.comb += [self.sent[place].eq(leave.valid & going[place]), sink.valid.eq(self.sent[place]),
                         sink.data.eq(leave.payload.data)]
        m.d.sync += self.unit.retired.eq(self.placed & leave.payload.retires)
        return placing.enter

    def _cause(self, m: Module) -> None:
        cause = self.unit.cause
        with m.If(self.placed):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(self.writes):
            m.d.sync += cause.eq(Cause.ACTIVATIONS)
        with m.Elif(self.filled):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Elif((self.records.level != 0) | self.room):
            m.d.sync += cause.eq(Cause.MEMORY)
        with m.Elif(self.pending_valid & ~self.enough):
            m.d.sync += cause.eq(Cause.SPACE)
        with m.Elif(self.pending_valid | ~self.bursts.region.ready):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.IDLE)
