"""Counters of pulses and cycles beyond any simulated run: they begin near their highest bit."""

from amaranth.hdl import Module, Signal, Value
from control_host import Host, begin, scripted

from arrayloom.hdl.control import Control
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.registers import CYCLE_BITS, REGISTER_BITS, Register

BEFORE = 2      # counts after which every bit of a counter has changed
PULSES = 5


class Late(Control):
    """Its counters begin near the middle of their range, and count like those of ``Control``."""

    def _count(self, m: Module, name: str, width: int, enable: Value) -> Signal:
        count = super()._count(m, name, width, enable)
        with m.If(self.run.clear):
            m.d.sync += count.eq(_begin(width))
        return count


def _begin(width: int) -> int:
    return (1 << width - 1) - BEFORE


@scripted(control=Late)
async def test_every_bit_of_a_counter_counts(host: Host) -> None:
    control = host.control
    await host.write(Register.CYCLE_LIMIT_HIGH, 0)      # no limit, as the cycles begin beyond it
    await begin(host)
    counted = [(Register.FETCHED, control.fetch.fetched, REGISTER_BITS), (Register.BEATS_READ, control.bus.read, CYCLE_BITS),
               (Register.BEATS_WRITTEN, control.bus.written, CYCLE_BITS),
               *((Register.RETIRED + 4 * unit, control.units[unit].retired, REGISTER_BITS) for unit in CORE_UNITS)]
    for register, signal, width in counted:
        read = host.read if width == REGISTER_BITS else host.read_wide
        for count in range(PULSES):
            assert await read(register) == _begin(width) + count, hex(register)
            await host.pulse(signal)
            await host.wait(2)
    before = await host.read_wide(Register.CYCLES)
    again = await host.read_wide(Register.CYCLES)
    assert 1 << CYCLE_BITS - 1 < before < again < before + 100
