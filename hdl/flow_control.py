"""Flow control: a buffer that breaks a stream's paths, and counters for the free space and the content of a buffer.

Each counter's result is a register, computed together with the count, so that logic that depends on
it has a whole cycle.
"""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out


class Elastic(Component):
    """A buffer of two words that cuts the path from a stream's reader back to its writer; a word moves in every cycle.

    Parameters
    ----------
    shape : ShapeLike
        Of the payload.

    Members
    -------
    enter : In(stream.Signature(shape))
    leave : Out(stream.Signature(shape))
        The same words, one cycle later at the earliest.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"enter": In(stream.Signature(shape)), "leave": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        enter, leave = self.enter, self.leave
        spare = Signal.like(enter.payload, name="spare", reset_less=True)
        held = Signal.like(enter.payload, name="held", reset_less=True)
        filled = Signal()
        m.d.comb += [enter.ready.eq(~filled), leave.payload.eq(held)]
        with m.If(~leave.valid | leave.ready):
            m.d.sync += [leave.valid.eq(filled | enter.valid), filled.eq(0)]
            with m.If(filled | enter.valid):
                m.d.sync += held.eq(Mux(filled, spare, enter.payload))
        with m.Elif(enter.valid & ~filled):
            m.d.sync += [spare.eq(enter.payload), filled.eq(1)]
        return m


def room_for(m: Module, depth: int, more: Value, less: Value) -> Signal:
    """Whether fewer than ``depth`` words are in a buffer.

    Parameters
    ----------
    m : Module
    depth : int
        Words that the buffer holds, 1 or more.
    more : Value
        A word enters; only in a cycle with room; may depend combinationally on the result.
    less : Value
        A word leaves.

    Returns
    -------
    Signal
        One bit, a register.
    """
    _check_depth(depth)
    used, room = Signal(range(depth + 1)), Signal(init=1)
    with m.If(more & ~less):
        m.d.sync += [used.eq(used + 1), room.eq(used != depth - 1)]
    with m.Elif(less & ~more):
        m.d.sync += [used.eq(used - 1), room.eq(1)]
    return room


def stock_of(m: Module, name: str, depth: int, more: Value, less: Value) -> Signal:
    """Whether at least one word is in a buffer that never refuses one.

    Parameters
    ----------
    m : Module
    name : str
        Name of the words, used in signal names.
    depth : int
        Most words in the buffer.
    more : Value
        A word enters.
    less : Value
        A word leaves; only if there is one; may depend combinationally on the result.

    Returns
    -------
    Signal
        One bit, a register.
    """
    _check_depth(depth)
    count, some = Signal(range(depth + 1), name=name), Signal(name=f"some_{name}")
    with m.If(more & ~less):
        m.d.sync += [count.eq(count + 1), some.eq(1)]
    with m.Elif(less & ~more):
        m.d.sync += [count.eq(count - 1), some.eq(count != 1)]
    return some


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise ValueError(f"depth = {depth}: must be at least 1 word")
