"""The queue of one unit: holds instructions until their tokens have arrived, and gives tokens when they retire."""

from typing import Any

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out, Signature

from arrayloom.hdl.interfaces import INSTRUCTION, instruction_layout, unit_signature
from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.fills import FILLS
from arrayloom.isa.registers import CAUSE_BITS, TOKEN_BITS, Cause

IN_FLIGHT = 8   # most instructions that a unit has accepted but not retired


def status_signature(units: int = len(CORE_UNITS)) -> Signature:
    """The status of a unit for the control unit, seen from its queue.

    Parameters
    ----------
    units : int
        Number of units.

    Members
    -------
    waiting : Out(8)
        Instructions in the queue.
    in_flight : Out(8)
        Instructions that the unit has accepted and not retired.
    tokens : Out(ArrayLayout(TOKEN_BITS, units))
        Tokens of each producer; each is counted one cycle after it can be taken.
    missing : Out(units)
        The units whose token the next instruction lacked one cycle ago; the unit itself while earlier instructions must
        complete first.
    cause : Out(CAUSE_BITS)
        The unit's cause, one cycle late.
    retired : Out(1)
        A pulse for each instruction that is complete.
    overflow : Out(1)
        A pulse: a token was given to a full counter; a cycle after ``tokens`` counts it.
    illegal : Out(1)
        The unit had an illegal instruction one cycle ago.
    idle : Out(1)
        Nothing waited and nothing was in flight one cycle ago.
    """
    return Signature({
        "waiting": Out(8), "in_flight": Out(8), "tokens": Out(data.ArrayLayout(TOKEN_BITS, units)),
        "missing": Out(units),
        "cause": Out(CAUSE_BITS), "retired": Out(1), "overflow": Out(1), "illegal": Out(1), "idle": Out(1, init=1),
    })


class Issue(Component):
    """The instruction queue of ``unit``.

    An instruction is offered when each unit in its ``wait`` mask has given a token, all of which are taken when the
    unit accepts it; the unit's own bit waits until nothing is in flight. A unit's token for itself is illegal.

    Parameters
    ----------
    config : Config
        ``queue_depth`` instructions wait.
    unit : Unit
        The unit that executes them.

    Members
    -------
    push : In(stream.Signature(INSTRUCTION))
        Instructions of FETCH.
    unit : In(unit_signature())
        The unit that executes them.
    give : In(units)
        Bit p: unit p gives this unit a token.
    signal : Out(units)
        Bit c: this unit gives unit c a token.
    halt : In(1)
        Offer no further instruction; an offered one stays offered.
    unordered : In(1)
        Only of LOAD and ATTENTION, where there are both: an instruction was accepted that fills the weight FIFO too early.
    status : Out(status_signature(units))
    """

    def __init__(self, config: Config, unit: Unit) -> None:
        if not isinstance(unit, Unit):
            raise TypeError(f"unit = {unit!r}: must be a member of Unit")
        if unit not in config.units:
            raise ValueError(f"unit = {unit.name}: {config.name} does not have it; give it the option of that unit")
        self.config, self.number = config, unit
        super().__init__({
            "push": In(stream.Signature(INSTRUCTION)),
            "unit": In(unit_signature()),
            "give": In(config.unit_slots),
            "signal": Out(config.unit_slots),
            "halt": In(1),
            **({"unordered": In(1)} if self.fills else {}),
            "status": Out(status_signature(config.unit_slots)),
        })

    @property
    def fills(self) -> bool:
        """Whether the unit is one of two that fill the weight FIFO."""
        return Unit.ATTENTION in self.config.units and self.number in {cls.UNIT for cls in FILLS}

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        units = self.config.unit_slots
        self.overflows: list[Value] = []    # one for each producer
        m.submodules.queue = queue = SyncFIFO(width=INSTRUCTION.width, depth=self.config.queue_depth)
        m.submodules.masks = masks = SyncFIFO(width=units, depth=IN_FLIGHT)
        head = Signal(instruction_layout(Instruction), reset_less=True)
        filled, offered, legal = Signal(name="filled"), Signal(), Signal()
        accepted, satisfied, flying = Signal(), Signal(), Signal()
        room, pushed, pulled = Signal(init=1, name="room"), Signal(), Signal()
        unit, status = self.unit, self.status
        m.d.comb += [
            queue.w_data.eq(self.push.payload), queue.w_en.eq(pushed), self.push.ready.eq(room),
            pushed.eq(self.push.valid & room), pulled.eq(~filled & queue.r_rdy), queue.r_en.eq(pulled),
            unit.instruction.payload.eq(head), unit.instruction.valid.eq(offered),
            accepted.eq(offered & unit.instruction.ready),
            masks.w_data.eq(head.signal[:units]), masks.w_en.eq(accepted), masks.r_en.eq(unit.retired),
            self.signal.eq(Mux(unit.retired, masks.r_data, 0)),
            legal.eq(~head.signal[self.number]),
        ]
        with m.If(pulled):
            m.d.sync += [head.eq(queue.r_data), filled.eq(1)]
        # computed together with the queue's level, since FETCH checks the room of every queue in one cycle
        with m.If(pushed & ~pulled):
            m.d.sync += room.eq(queue.level != self.config.queue_depth - 1)
        with m.Elif(pulled):
            m.d.sync += room.eq(1)
        # a satisfied condition of the head stays true until it is accepted, so the offer can be registered
        with m.If(accepted):
            m.d.sync += [filled.eq(0), offered.eq(0)]
        with m.Elif(filled & satisfied & legal & masks.w_rdy & ~self.halt):
            m.d.sync += offered.eq(1)
        # state comparison relies on this (hdl/control_rules.py): a unit completes only what it has accepted
        m.d.sync += Assert(~unit.retired | masks.r_rdy)
        with m.If(accepted & ~unit.retired):
            m.d.sync += flying.eq(1)
        with m.Elif(unit.retired & ~accepted):
            m.d.sync += flying.eq(masks.level != 1)
        there = Cat(self._there(m, slot, head, accepted, flying) for slot in range(units))
        lacks = head.wait[:units] & ~there
        m.d.comb += satisfied.eq(~lacks.any())
        m.d.comb += [
            status.waiting.eq(queue.level + filled), status.in_flight.eq(masks.level), status.retired.eq(unit.retired),
        ]
        illegal = unit.illegal | (filled & ~legal)
        m.d.sync += [
            status.missing.eq(Mux(filled, lacks, 0)),
            status.idle.eq(~filled & (queue.level == 0) & ~flying),
            status.illegal.eq(illegal | self.unordered if self.fills else illegal),
            status.overflow.eq(Cat(self.overflows).any()),
        ]
        self._cause(m, filled, satisfied, flying)
        return m

    def _there(self, m: Module, slot: int, head: data.View, accepted: Value, flying: Value) -> ValueLike:
        """Whether the head need not wait for the unit of that number; in an empty place there is none to wait for."""
        if slot not in self.config.units:
            return Const(1, 1)
        return ~flying if slot == self.number else self._tokens(m, Unit(slot), head, accepted)

    def _tokens(self, m: Module, producer: Unit, head: data.View, accepted: Value) -> Signal:
        """Counts the tokens of ``producer``, each one cycle after it is given; returns whether there is one."""
        name = producer.name.lower()
        count, there, given = self.status.tokens[producer], Signal(name=f"there_{name}"), Signal(name=f"given_{name}")
        give, take = self.give[producer], accepted & head.wait[producer]
        full = count == (1 << TOKEN_BITS) - 1
        self.overflows.append(given & ~take & full)
        m.d.sync += [given.eq(give), there.eq(give | Mux(take, (count > 1) | ((count == 1) & given), there))]
        with m.If(given & ~take & ~full):
            m.d.sync += count.eq(count + 1)
        with m.Elif(take & ~given):
            m.d.sync += count.eq(count - 1)
        return there

    def _cause(self, m: Module, filled: Value, satisfied: Value, in_flight: Value) -> None:
        """The unit's own cause, or while it has no instruction, why this queue offers none."""
        with m.If(self.unit.cause != Cause.IDLE):
            m.d.sync += self.status.cause.eq(self.unit.cause)
        with m.Elif(filled & ~satisfied):
            m.d.sync += self.status.cause.eq(Cause.TOKEN)
        with m.Elif(filled | in_flight):
            m.d.sync += self.status.cause.eq(Cause.OVERHEAD)
        with m.Else():
            m.d.sync += self.status.cause.eq(Cause.IDLE)
