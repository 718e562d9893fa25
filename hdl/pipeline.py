"""Pipeline registers and delays, of two kinds.

A flag marks the cycles with valid data: it moves in every cycle and is cleared by reset. Data moves only in cycles
whose flag is set, and is never reset: without the flag its value does not matter.
"""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Signal, Value, ValueLike


def data_register(m: Module, value: ValueLike, enable: Value, name: str | None = None) -> Signal:
    """One stage of data.

    Parameters
    ----------
    m : Module
    value : ValueLike
        A value or a view; the register has its shape.
    enable : Value
        The register takes ``value`` in cycles in which this is set.
    name : str or None
        Name of the register; by default derived from the value's.

    Returns
    -------
    Signal
        ``value`` of the last cycle with ``enable``, from the next cycle on.
    """
    register = Signal.like(value, name=name, reset_less=True)
    with m.If(enable):
        m.d.sync += register.eq(value)
    return register


def data_line(m: Module, value: ValueLike, enables: Iterable[Value], name: str | None = None) -> list[ValueLike]:
    """Data at every stage of a pipeline.

    Parameters
    ----------
    m : Module
    value : ValueLike
    enables : iterable of Value
        One per stage: the flag of the data delayed by the number of preceding stages.
    name : str or None
        Prefix of the registers' names, before the number of the stage.

    Returns
    -------
    list
        ``value`` delayed by 0, 1, ... stages: one entry more than there are ``enables``.
    """
    line = [value]
    for stage, enable in enumerate(enables):
        line.append(data_register(m, line[-1], enable, name and f"{name}_{stage}"))
    return line


def delay(m: Module, value: ValueLike, enables: Iterable[Value], name: str | None = None) -> ValueLike:
    """Data at the end of a pipeline: the last entry of ``data_line``."""
    return data_line(m, value, enables, name)[-1]


def flag_line(m: Module, flag: Value, cycles: int, name: str = "line") -> list[Value]:
    """A flag at every stage of a pipeline.

    Parameters
    ----------
    m : Module
    flag : Value
        One bit.
    cycles : int
        Stages, 0 or more.
    name : str
        Name of the shift register, whose bit i is the flag delayed by i + 1 cycles.

    Returns
    -------
    list of Value
        ``flag`` delayed by 0, 1, ... ``cycles`` cycles; all but the first are clear after reset.
    """
    if len(flag) != 1:
        raise ValueError(f"flag of {len(flag)} bits: must be one bit; delay data with data_line")
    if cycles < 0:
        raise ValueError(f"cycles = {cycles}: must not be negative")
    if not cycles:
        return [flag]
    line = Signal(cycles, name=name)
    m.d.sync += line.eq(Cat(flag, line))
    return [flag, *line]
