"""Pipeline registers and delays: latency, resets, and refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Cat, Fragment, Module, Signal
from amaranth.sim import Simulator

from arrayloom.hdl.pipeline import data_line, data_register, delay, flag_line

CYCLES = 12


def _outputs(build: Callable[[Module, Signal, Signal], Any], values: list[int], flags: list[int]) -> list[int]:
    """The output in each cycle when ``build`` computes it from a byte and a flag."""
    m, value, flag = Module(), Signal(8), Signal()
    output = Signal(64)
    m.d.comb += output.eq(build(m, value, flag))
    found = []

    async def testbench(ctx: Any) -> None:
        for each, set_ in zip(values, flags, strict=True):
            ctx.set(value, each)
            ctx.set(flag, set_)
            found.append(ctx.get(output))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def test_register_holds_the_last_value_with_enable() -> None:
    found = _outputs(data_register, [1, 2, 3, 4, 5], [1, 0, 1, 0, 0])
    assert found == [0, 1, 1, 3, 3]


def test_data_moves_with_its_flag() -> None:
    values, flags = list(range(1, CYCLES + 1)), [1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]

    def build(m: Module, value: Signal, flag: Signal) -> Any:
        moving = flag_line(m, flag, 3)
        assert moving[0] is flag and len(moving) == 4
        return Cat(moving[-1], delay(m, value, moving[:-1]))

    found = _outputs(build, values, flags)
    assert [(each >> 1 if each & 1 else None) for each in found] == [
        value if flag else None for value, flag in zip([0] * 3 + values[:-3], [0] * 3 + flags[:-3], strict=True)]


def test_line_has_every_stage() -> None:
    def build(m: Module, value: Signal, flag: Signal) -> Any:
        line = data_line(m, value, [flag, flag])
        assert len(line) == 3 and line[0] is value
        return Cat(line)

    found = _outputs(build, [1, 2, 3, 4], [1, 1, 1, 1])
    assert found == [1, 0x0102, 0x010203, 0x020304]


def test_lines_without_stages_are_their_inputs() -> None:
    m, value, flag = Module(), Signal(8), Signal()
    assert delay(m, value, []) is value
    line = flag_line(m, flag, 0)
    assert len(line) == 1 and line[0] is flag
    Fragment.get(m, None)


@pytest.mark.parametrize(("width", "cycles", "message"), [
    (2, 1, "flag of 2 bits: must be one bit; delay data with data_line"),
    (1, -1, "cycles = -1: must not be negative"),
])
def test_refusals(refuses: Any, width: int, cycles: int, message: str) -> None:
    refuses(lambda: flag_line(Module(), Signal(width), cycles), message)
