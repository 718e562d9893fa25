"""Rounding modes by their definitions, for any width: the reference for the hardware's shortcuts."""

from amaranth.hdl import Module, Mux, Signal, Value

from arrayloom.isa.instructions import SIGNIFICANT


def named(m: Module, name: str, value: Value) -> Signal:
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def nearest_even(value: Value, drop: int) -> Value:
    """``value / 2**drop`` to the nearest integer, ties to the even one."""
    if drop == 0:
        return value
    low, half = value[:drop], 1 << drop - 1
    up = (low > half) | ((low == half) & value[drop])
    return (value >> drop) + up


def nearest_even_by(m: Module, value: Signal, drop: Value, most: int) -> Value:
    """Likewise for a variable ``drop`` from 1 to ``most``."""
    one = named(m, "unit_of_drop", Value.cast(1) << drop)[:most + 1]
    low = named(m, "dropped", value & (one - 1))
    half = named(m, "half", one >> 1)
    kept = named(m, "kept", value >> drop)
    return kept + ((low > half) | ((low == half) & kept[0]))


def to_24_bits(value: Value) -> Value:
    """A magnitude rounded to the 24 significant bits of float32."""
    result = value
    for length in range(SIGNIFICANT + 1, len(value) + 1):
        drop = length - SIGNIFICANT
        result = Mux(value[length - 1:] == 1, nearest_even(value, drop) << drop, result)
    return result
