"""Reads the program and dispatches each instruction to the queue of its unit."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.hdl.axi import read_signature
from arrayloom.hdl.crc import START, crc_step
from arrayloom.hdl.interfaces import INSTRUCTION, instruction_layout
from arrayloom.hdl.pipeline import data_register, flag_line
from arrayloom.isa.bus import ADDRESS_BITS, FETCH_BUFFER_BYTES, FETCH_BURST_BYTES
from arrayloom.isa.config import Config
from arrayloom.isa.fields import CHECK_BITS, FIELD_BITS, INSTRUCTION_BITS, INSTRUCTION_BYTES, Instruction
from arrayloom.isa.registers import CAUSE_BITS, Cause

PART_BITS = 64          # bits of an instruction checked in one cycle
PARTS = -(-FIELD_BITS // PART_BITS)


def control_signature() -> Signature:
    """FETCH towards the control unit, seen from FETCH.

    Members
    -------
    start : In(1)
        A pulse: begin a program.
    fetched : Out(1)
        A pulse for each instruction.
    finished : Out(1)
        A pulse: End is reached and all units are idle.
    illegal : Out(1)
        An instruction or the program's address is illegal: nothing more is fetched. Registered, like the next three.
    damaged : Out(1)
        The CRC of an instruction is wrong: nothing more is fetched.
    outside : Out(1)
        The program begins before ``base``, or does not end before ``limit``: nothing more is fetched.
    address : Out(ADDRESS_BITS)
        With ``outside``: address of the first byte outside.
    bus_error : Out(1)
        The bus answered an instruction with an error: nothing more is fetched.
    cause : Out(CAUSE_BITS)
        What FETCH did one cycle ago.
    """
    return Signature({"start": In(1), "fetched": Out(1), "finished": Out(1), "illegal": Out(1), "damaged": Out(1),
                      "outside": Out(1), "address": Out(ADDRESS_BITS), "bus_error": Out(1), "cause": Out(CAUSE_BITS)})


class Fetch(Component):
    """Fetches instructions ahead, in order, up to End.

    Prefetches up to ``FETCH_BUFFER_BYTES`` beyond End, but never beyond ``limit``; words after End are ignored.
    Illegal are an unknown opcode, reserved bits that are set, an End with tokens, and a program that does not start
    at a multiple of the instruction size and of a word.

    Parameters
    ----------
    config : Config
        ``word_bits`` is the width of the bus.

    Members
    -------
    program : In(ADDRESS_BITS)
        Byte address of the first instruction, sampled at the start. This and the next two are constant during a run and in
        the cycle before.
    base : In(ADDRESS_BITS)
        First byte that may be read.
    limit : In(ADDRESS_BITS)
        End of what may be read. Only whole words before it are read.
    bus : Out(read_signature(config, always_ready=True))
    queues : Out(stream.Signature(INSTRUCTION)) for each unit of the configuration
    idle : In(1)
        No unit has an instruction and the bus is quiet. May reflect a pushed instruction two cycles late.
    control : Out(control_signature())
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "program": In(ADDRESS_BITS), "base": In(ADDRESS_BITS), "limit": In(ADDRESS_BITS),
            "bus": Out(read_signature(config, always_ready=True)),
            "queues": Out(stream.Signature(INSTRUCTION)).array(config.unit_slots),
            "idle": In(1),
            "control": Out(control_signature()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, control = self.config.size, self.control
        self.buffer = SyncFIFOBuffered(width=self.config.word_bits + 1, depth=FETCH_BUFFER_BYTES // size)
        m.submodules.buffer = self.buffer
        self.storage = Signal(max(self.config.word_bits, INSTRUCTION_BITS), reset_less=True)
        self.word = Signal(self.config.word_bits + 1, reset_less=True)  # the buffer's oldest word, from its slow memory
        self.word_there = Signal()
        self.fault = Signal()       # the bus answered a buffered word with an error
        self.full = Signal()        # the storage holds instructions
        self.emptied = Signal()     # its last instruction is dispatched
        self.reading = Signal()
        self.index = Signal(CHECK_BITS)                     # of the instruction to dispatch next, relative to ``base``
        self.check = Signal(CHECK_BITS, reset_less=True)    # the state of the CRC after the checked part of an instruction
        beat = self.bus.beat
        # a register between the bus and the buffer, which are far apart
        arrives = flag_line(m, beat.valid, 1, "arrives")[-1]
        arriving = data_register(m, Cat(beat.payload.data, beat.payload.error), beat.valid, "arriving_word")
        m.d.comb += [self.buffer.w_en.eq(arrives), self.buffer.w_data.eq(arriving)]
        m.d.sync += [control.illegal.eq(0), control.damaged.eq(0), control.outside.eq(0), control.bus_error.eq(0)]
        self._request(m)
        self._assemble(m)
        self._dispatch(m)
        misaligned = self.program[:exact_log2(max(size, INSTRUCTION_BYTES))].any()
        before, first = Signal(reset_less=True), Signal(CHECK_BITS, reset_less=True)
        m.d.sync += [before.eq(self.program < self.base),
                     first.eq((self.program - self.base)[exact_log2(INSTRUCTION_BYTES):])]
        with m.If(control.start):
            m.d.sync += [self.reading.eq(~misaligned & ~before), control.illegal.eq(misaligned),
                         control.outside.eq(before & ~misaligned), control.address.eq(self.program),
                         self.index.eq(first)]
        return m

    def _request(self, m: Module) -> None:
        """Requests bursts up to ``limit`` while the buffer has room for a whole one."""
        size, request = self.config.size, self.bus.request
        chunk = FETCH_BURST_BYTES // size
        next_word = Signal(ADDRESS_BITS - exact_log2(size), reset_less=True)
        room = Signal(range(self.buffer.depth + 1), init=self.buffer.depth)
        asks, takes = Signal(), self.buffer.r_rdy & self.buffer.r_en
        # words up to the limit: from the program's first word, and from the next one
        span, left = (Signal.like(next_word, name=name) for name in ("span", "left"))
        words = slice(exact_log2(size), None)
        m.d.sync += span.eq(Mux(self.limit > self.program, self.limit[words] - self.program[words], 0))
        length, no_more = self._next_length(m, Mux(self.control.start, self.program[words], next_word),
                                            Mux(self.control.start, span, left))
        m.d.comb += asks.eq(self.reading & ~request.valid & (room >= chunk) & ~no_more)
        with m.If(asks):
            m.d.sync += left.eq(left - length)
        # everything has been read, nothing is outstanding, and the needed instruction is incomplete
        with m.If(self.reading & no_more & ~request.valid & (room == self.buffer.depth)
                  & ~self.word_there & ~self.full):
            m.d.sync += [self.reading.eq(0), self.control.outside.eq(1),
                         self.control.address.eq(next_word << exact_log2(size))]
        with m.If(self.control.start):
            m.d.sync += [next_word.eq(self.program[words]), left.eq(span)]
        with m.Elif(asks):
            m.d.sync += [
                request.valid.eq(1), request.payload.address.eq(next_word << exact_log2(size)),
                request.payload.beats.eq(length - 1), next_word.eq(next_word + length),
            ]
        with m.Elif(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(asks | takes):
            m.d.sync += room.eq(room - Mux(asks, length, 0) + takes)

    def _next_length(self, m: Module, word: Value, left: Value) -> tuple[Signal, Signal]:
        """Registers the number of words of the burst that begins at ``word``, if ``left`` may be read, and whether it is
        zero.

        A request takes at least two cycles, so the effect of the previous one is visible in time.
        """
        chunk = FETCH_BURST_BYTES // self.config.size
        bits = exact_log2(chunk)
        length, no_more, whole = Signal(range(chunk + 1)), Signal(), Signal(range(chunk + 1))
        few = ~left[bits:].any()
        m.d.comb += whole.eq(chunk - word[:bits])
        m.d.sync += [length.eq(Mux(few & (left[:bits] < whole), left[:bits], whole)), no_more.eq(left == 0)]
        return length, no_more

    def _assemble(self, m: Module) -> None:
        words = len(self.storage) // self.config.word_bits
        index, last = _counter(words)
        buffer, word = self.buffer, self.word[:-1]
        m.d.comb += buffer.r_en.eq(~self.word_there | ~self.full)
        with m.If(buffer.r_en):
            m.d.sync += [self.word.eq(buffer.r_data), self.word_there.eq(buffer.r_rdy)]
        with m.If(~self.full & self.word_there):
            m.d.sync += [
                self.storage.word_select(index, self.config.word_bits).eq(word),
                self.fault.eq(self.fault | self.word[-1]),
                self.full.eq(last),
            ]
            m.d.sync += _advance(index, last)
            if words > 1:
                # the last word ends with the instruction's checksum, which is replaced by its index for the CRC
                added = Cat(word[:-CHECK_BITS], Mux(last, self.index, word[-CHECK_BITS:]))
                m.d.sync += self.check.eq(crc_step(Mux(index == 0, START, self.check), added))
        with m.If(self.emptied):
            m.d.sync += self.full.eq(0)

    def _dispatch(self, m: Module) -> None:
        control = self.control
        part, last = _counter(len(self.storage) // INSTRUCTION_BITS)
        current = Signal(INSTRUCTION_BITS)
        units = self.config.units
        target, ends, legal = Signal(self.config.unit_slots), Signal(), Signal()
        self.excess = Signal(PARTS + 1)     # parts of the instruction with reserved bits set; above, its masks
        m.d.comb += [current.eq(self.storage.word_select(part, INSTRUCTION_BITS)), legal.eq(~self.excess.any())]
        m.d.comb += self.emptied.eq(control.fetched & last)
        with m.If(control.fetched):
            m.d.sync += [self.index.eq(self.index + 1), *_advance(part, last)]
        for queue in self.queues:
            m.d.comb += queue.payload.eq(current[:FIELD_BITS])
        with m.FSM() as states:
            with m.State("DECODE"), m.If(self.full):
                self._decode(m, current[:FIELD_BITS], target, ends)
                if self.config.word_bits >= INSTRUCTION_BITS:
                    m.d.sync += self.check.eq(crc_step(Const(START, CHECK_BITS), Cat(current[:FIELD_BITS], self.index)))
                m.next = "CHECK"
            with m.State("CHECK"):
                self._check(m, ends, legal, current[FIELD_BITS:] != ~self.check)
            with m.State("PUSH"):
                for unit in units:
                    m.d.comb += self.queues[unit].valid.eq(target[unit])
                with m.If(Cat(target[unit] & self.queues[unit].ready for unit in units).any()):
                    m.d.comb += control.fetched.eq(1)
                    m.next = "DECODE"
            with m.State("ENDED"), m.If(self.idle):
                m.d.comb += control.finished.eq(1)
                m.next = "STOPPED"
            with m.State("STOPPED"):
                pass
        self._cause(m, states)

    def _cause(self, m: Module, states: Any) -> None:
        """Dispatches an instruction in three cycles: decode, check, push."""
        cause = self.control.cause
        with m.If(states.ongoing("ENDED") | states.ongoing("STOPPED")):
            m.d.sync += cause.eq(Cause.IDLE)
        with m.Elif(states.ongoing("PUSH") & ~self.control.fetched):
            m.d.sync += cause.eq(Cause.SPACE)
        with m.Elif(self.full):
            m.d.sync += cause.eq(Cause.COMPUTING)
        with m.Elif(self.word_there):
            m.d.sync += cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += cause.eq(Cause.MEMORY)

    def _decode(self, m: Module, current: Value, target: Value, ends: Value) -> None:
        """Registers the unit of the instruction, and the parts with bits that its class does not have."""
        m.d.sync += [target.eq(0), ends.eq(0), self.excess.eq(~0)]
        with m.Switch(data.View(instruction_layout(Instruction), current).opcode):
            for cls in self.config.instructions:
                view = data.View(instruction_layout(cls), current)
                reserved = FIELD_BITS - len(view.reserved)
                parts = [current[max(start, reserved):max(start + PART_BITS, reserved)].any()
                         for start in range(0, FIELD_BITS, PART_BITS)]
                units = Cat(self._empty_places(mask) for mask in (view.wait, view.signal)).any()
                with m.Case(cls.OPCODE):
                    if cls.UNIT is not None:
                        m.d.sync += [target.eq(1 << cls.UNIT), self.excess.eq(Cat(*parts, units))]
                    else:
                        m.d.sync += [ends.eq(1), self.excess.eq(Cat(*parts, Cat(view.wait, view.signal).any()))]

    def _empty_places(self, mask: Value) -> Value:
        """The bits of a mask that name no unit."""
        slots, units = self.config.unit_slots, self.config.units
        return Cat(*(mask[slot] for slot in range(slots) if slot not in units), mask[slots:])

    def _check(self, m: Module, ends: Value, legal: Value, damaged: Value) -> None:
        control = self.control
        m.next = "STOPPED"
        with m.If(self.fault):
            m.d.sync += control.bus_error.eq(1)
        with m.Elif(damaged):
            m.d.sync += control.damaged.eq(1)
        with m.Elif(~legal):
            m.d.sync += control.illegal.eq(1)
        with m.Elif(ends):
            m.d.comb += control.fetched.eq(1)
            m.d.sync += self.reading.eq(0)
            m.next = "ENDED"
        with m.Else():
            m.next = "PUSH"


def _counter(limit: int) -> tuple[Value, Value]:
    """A counter from 0 to ``limit - 1``, and whether it is at its last value; a constant if there is only one value."""
    if limit == 1:
        return Const(0), Const(1)
    count = Signal(range(limit))
    return count, count == limit - 1


def _advance(count: Value, last: Value) -> list[Any]:
    return [count.eq(Mux(last, 0, count + 1))] if isinstance(count, Signal) else []
