"""Room in a buffer, counted where it is taken."""

from amaranth.hdl import Module, Signal, Value


def room_for(m: Module, depth: int, more: Value, less: Value) -> Signal:
    """Whether fewer than ``depth`` are in use, found as they are counted: ``more`` hangs on it in the same cycle."""
    used, room = Signal(range(depth + 1)), Signal(init=1)
    with m.If(more & ~less):
        m.d.sync += [used.eq(used + 1), room.eq(used != depth - 1)]
    with m.Elif(less & ~more):
        m.d.sync += [used.eq(used - 1), room.eq(1)]
    return room
