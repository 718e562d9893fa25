"""The CRC of instructions: FETCH's computation, the definition bit by bit, and the ISA's checksum are equal.

All three are linear over bits: the result for a sum of inputs is the sum of their results. Two of them are therefore equal
for all inputs if they are equal for each single bit. The netlist shows that the hardware is linear.
"""

import re
import zlib
from collections.abc import Callable

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from arrayloom.hdl import crc
from arrayloom.hdl.crc import POLYNOMIAL, START, crc_step
from arrayloom.isa.fields import CHECK_BITS, FIELD_BYTES, check_of

WIDTHS = (32, 64, 128, 256, 512)    # bits processed per step, from tiny to 64x64
LINEAR = {"$xor", "$reduce_xor", "$and"}
"""A netlist of these cells is linear if one input of each $and is a constant."""


def defined(state: int, word: int, width: int) -> int:
    """The state shifts bit by bit; if the bit shifted out differs from the word's bit, the polynomial is added."""
    for bit in range(width):
        out = (state ^ word >> bit) & 1
        state = state >> 1 ^ (POLYNOMIAL if out else 0)
    return state


class Step:
    """``crc_step`` between ports."""

    def __init__(self, width: int) -> None:
        self.state, self.word = Signal(CHECK_BITS, name="state"), Signal(width, name="word")
        self.after = Signal(CHECK_BITS, name="after")
        self.module = Module()
        self.module.d.comb += self.after.eq(crc_step(self.state, self.word))


def differences(width: int) -> list[tuple[int, int]]:
    """The single bits of state and word, and the zero input, for which hardware and definition differ."""
    step, found = Step(width), []

    async def bench(ctx: object) -> None:
        for state, word in [(0, 0), *((1 << bit, 0) for bit in range(CHECK_BITS)), *((0, 1 << bit) for bit in range(width))]:
            ctx.set(step.state, state)      # type: ignore[attr-defined]
            ctx.set(step.word, word)        # type: ignore[attr-defined]
            if ctx.get(step.after) != defined(state, word, width):      # type: ignore[attr-defined]
                found.append((state, word))

    simulator = Simulator(step.module)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_the_hardware_is_the_definition(width: int) -> None:
    assert differences(width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_hardware_is_a_sum_of_bits(width: int) -> None:
    step = Step(width)
    text = rtlil.convert(step.module, ports=[step.state, step.word, step.after], emit_src=False)
    cells = re.findall(r"cell (\S+) .*?\n(.*?)\n\s+end\n", text, flags=re.DOTALL)
    assert cells and {kind for kind, _ in cells} <= LINEAR
    for kind, body in cells:
        assert kind != "$and" or re.search(r"connect \\[AB] \d+'[01]+$", body, flags=re.MULTILINE)


def test_a_wrong_polynomial_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crc, "POLYNOMIAL", POLYNOMIAL ^ 1 << 5)
    crc._masks.cache_clear()
    try:
        assert differences(WIDTHS[0])
    finally:
        crc._masks.cache_clear()


def _bits(check: Callable[[bytes], int]) -> list[int]:
    """The checksum of a message of zeros, and of each single bit."""
    size = FIELD_BYTES + CHECK_BITS // 8
    return [check((0 if bit is None else 1 << bit).to_bytes(size, "little")) for bit in (None, *range(8 * size))]


def test_the_definition_is_the_check_of_the_isa() -> None:
    def of_definition(message: bytes) -> int:
        return defined(START, int.from_bytes(message, "little"), 8 * len(message)) ^ START

    def of_isa(message: bytes) -> int:
        return int.from_bytes(check_of(message[:FIELD_BYTES], int.from_bytes(message[FIELD_BYTES:], "little")), "little")

    assert _bits(of_definition) == _bits(of_isa) == _bits(zlib.crc32)
