"""Generates the slots of a pass: in each cycle one word is requested from the scratchpad, or replaced by padding."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.depthwise.signatures import LEAST_PASS, pass_layout, slot_layout
from arrayloom.hdl.interfaces import bank_of, leaves_scratchpad
from arrayloom.isa.config import WIDEST_STRIDE, Config
from arrayloom.isa.instructions import WORD_ADDRESS


class Walker(Component):
    """Generates slots for the weights and the region of a pass; takes the next pass together with its last slot.

    Source columns are read in order, and an output is complete with the column of its last operand. Operands outside the
    source are replaced by padding later, so that the columns of the next row can follow at once.

    Parameters
    ----------
    config : Config

    Members
    -------
    passes : In(stream.Signature(pass_layout(config)))
    bank_free : In(1)
        A bank of sums is empty; a ``fresh`` pass waits for it.
    valid : Out(1)
        There is a slot; it stays until it is ``taken``.
    taken : In(1)
        The slot is not needed any more. It must also be set if there is no slot, or one that does not read.
    read : Out(1)
        The slot reads the word at ``address``.
    address : Out(WORD_ADDRESS)
    bank : Out(range(activation_banks))
        The bank of that word.
    beyond : Out(1)
        With ``read``: the word lies beyond the scratchpad's end.
    slot : Out(slot_layout(config))
    closes : Out(1)
        The slot is the last one that reads for its instruction; stays until it is ``taken``.
    working : Out(1)
        A pass is being processed.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.columns = config, config.depthwise_columns
        super().__init__({
            "passes": In(stream.Signature(pass_layout(config))), "bank_free": In(1), "valid": Out(1), "taken": In(1),
            "read": Out(1), "address": Out(WORD_ADDRESS), "bank": Out(range(config.activation_banks)), "beyond": Out(1),
            "slot": Out(slot_layout(config)), "closes": Out(1), "working": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.now = now = Signal(pass_layout(self.config), reset_less=True, name="now")
        active, weighs, over = (Signal(name=name) for name in ("active", "weighs", "over"))     # over: no slot is left
        # The last weight has the last place: an output is complete with its last operand, however few there are.
        place = Signal(range(self.columns), name="place", reset_less=True)
        age, first = Signal(range(LEAST_PASS), name="age", reset_less=True), Signal(name="first", reset_less=True)
        self.moves, ends, last = Signal(), Signal(), Signal()     # moves: a slot of the source is made
        self.takes = self.passes.valid & self.passes.ready
        m.d.comb += [
            self.working.eq(active), self.moves.eq(active & ~weighs & ~over & self.taken),
            ends.eq(active & ~weighs & (over | last) & (age == LEAST_PASS - 1)),
            self.passes.ready.eq((~active | ends) & self.taken & (self.bank_free | ~self.passes.payload.fresh)),
        ]
        with m.If(self.takes):
            m.d.sync += [now.eq(self.passes.payload), active.eq(1), weighs.eq(1), over.eq(0), age.eq(0),
                         place.eq(self.columns - self.passes.payload.count), first.eq(1)]
        with m.Elif(self.taken & ends):
            m.d.sync += active.eq(0)
        with m.Elif(self.taken & weighs):
            m.d.sync += [weighs.eq(place != self.columns - 1), place.eq(place + 1), first.eq(0),
                         now.weights.eq(now.weights + 1)]
        with m.Elif(self.taken & active):
            m.d.sync += [age.eq(Mux(age == LEAST_PASS - 1, age, age + 1)), over.eq(over | last)]
        address, read = self._columns(m, last)
        fire, slot = self._outputs(m)
        m.d.comb += [slot.weight.eq(weighs), slot.place.eq(place), slot.clear.eq(first),
                     slot.fire.eq(fire & ~weighs)]
        word = Mux(weighs, now.weights, address)
        held = Signal(len(now.address), name="held", reset_less=True)
        with m.If(self.taken):
            m.d.sync += [
                self.valid.eq(active & (weighs | ~over)), self.read.eq(active & (weighs | (read & ~over))),
                self.closes.eq(ends & now.final),
            ]
            with m.If(active):
                m.d.sync += [self.slot.eq(slot), held.eq(word), self.bank.eq(bank_of(word, self.config))]
        m.d.comb += [self.address.eq(held), self.beyond.eq(self.read & leaves_scratchpad(held, self.config))]
        return m

    def _columns(self, m: Module, last: Value) -> tuple[Value, Value]:
        """Computes the slot's word and whether it is inside the source; sets ``last`` for the last slot of the pass."""
        now, new = self.now, self.passes.payload
        left = Signal.like(now.slots, name="left", reset_less=True)
        rows = Signal.like(now.height, name="rows", reset_less=True)
        row_end, last_row, tail = (Signal(name=name, reset_less=True) for name in ("row_end", "last_row", "tail"))
        column = Signal.like(now.column, name="column", reset_less=True)
        y = Signal.like(now.y, name="row", reset_less=True)
        address, line = (Signal.like(now.address, name=name, reset_less=True) for name in ("word", "line"))
        step = Mux(now.narrow, now.stride_x, 1)
        follows = now.follows & (now.lead != 0)
        m.d.comb += last.eq(row_end & Mux(follows, tail, last_row))
        with m.If(self.takes):
            m.d.sync += [
                left.eq(new.slots), rows.eq(new.height), row_end.eq(new.slots == 1), last_row.eq(new.height == 1),
                tail.eq(0), column.eq(new.column), y.eq(new.y), address.eq(new.address), line.eq(new.address),
            ]
        with m.Elif(self.moves & row_end):
            m.d.sync += [
                left.eq(Mux(last_row, now.lead, now.slots)), row_end.eq(Mux(last_row, now.lead == 1, now.slots == 1)),
                tail.eq(last_row), rows.eq(rows - 1), last_row.eq(last_row | (rows == 2)),
                column.eq(now.column), y.eq(y + now.stride_y),
                address.eq(line + now.row_step), line.eq(line + now.row_step),
            ]
        with m.Elif(self.moves):
            m.d.sync += [left.eq(left - 1), row_end.eq(left == 2), column.eq(column + step),
                         address.eq(address + step)]
        inside = (y.as_unsigned() < now.source_height) & (column.as_unsigned() < now.source_width)
        return address, inside & ~tail

    def _outputs(self, m: Module) -> tuple[Value, data.View]:
        """Computes whether an output is complete with the slot, and which of its operands are inside the source."""
        now, new = self.now, self.passes.payload
        waits = Signal(range(self.columns - 1 + WIDEST_STRIDE), reset_less=True)   # slots until the next output
        columns = Signal.like(now.width, name="columns", reset_less=True)
        rows = Signal.like(now.height, name="output_rows", reset_less=True)
        column = Signal.like(now.left, name="output_column", reset_less=True)
        y = Signal.like(now.y, name="output_row", reset_less=True)
        started = Signal(reset_less=True)
        fire, row_end = waits == 0, columns == 1
        between = Mux(now.narrow, 0, now.stride_x == WIDEST_STRIDE)     # slots between two outputs
        with m.If(self.takes):
            m.d.sync += [waits.eq(new.lead), columns.eq(new.width), rows.eq(new.height), column.eq(new.left), y.eq(new.y),
                         started.eq(0)]
        with m.Elif(self.moves & fire):
            m.d.sync += [waits.eq(between), columns.eq(columns - 1), column.eq(column + now.stride_x),
                         started.eq(1)]
            with m.If(row_end):
                m.d.sync += [waits.eq(between + Mux(now.follows, 0, now.lead)), columns.eq(now.width), rows.eq(rows - 1),
                             column.eq(now.left), y.eq(y + now.stride_y)]
        with m.Elif(self.moves):
            m.d.sync += waits.eq(waits - 1)
        slot = Signal(slot_layout(self.config), name="made")
        row_inside = y.as_unsigned() < now.source_height
        m.d.comb += [
            slot.inside.eq(Cat(row_inside & ((column + place).as_unsigned() < now.source_width)
                               for place in range(self.columns))),
            slot.padding.eq(now.padding), slot.start.eq(~started), slot.fresh.eq(now.fresh),
            slot.done.eq(now.final & row_end & (rows == 1)),
        ]
        return fire, slot
