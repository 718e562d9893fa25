"""Registers in the two kinds that the array is made of: flags, which reset, and data, which change only when told."""

from amaranth import Cat, Module, Signal, Value
from amaranth.hdl import ValueCastable


def data_register(m: Module, value: Value | ValueCastable, enable: Value) -> Signal:
    """``value`` of the last cycle in which ``enable`` was set; never reset."""
    register = Signal.like(value, reset_less=True)
    with m.If(enable):
        m.d.sync += register.eq(value)
    return register


def flag_line(m: Module, flag: Value, cycles: int) -> list[Value]:
    """The flag delayed by 0, 1, ... ``cycles`` cycles; all clear after reset."""
    if not cycles:
        return [flag]
    line = Signal(cycles)
    m.d.sync += line.eq(Cat(flag, line))
    return [flag, *line]


def data_line(m: Module, value: Value | ValueCastable, enables: list[Value]) -> list[Value | ValueCastable]:
    """``value`` delayed by 0, 1, ... ``len(enables)`` cycles; ``enables[i]`` goes with what is delayed by ``i``."""
    line = [value]
    for enable in enables:
        line.append(data_register(m, line[-1], enable))
    return line
