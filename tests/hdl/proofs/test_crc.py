"""The CRC of instructions: the sums of bits that FETCH makes, and the definition bit by bit, and ``zlib``."""

import random
import zlib
from collections.abc import Callable

from amaranth.hdl import Module, Mux, Signal, Value
from proving import Fault, Harness, Method, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from proving.rounding import named

from arrayloom.hdl import crc
from arrayloom.hdl.crc import POLYNOMIAL, START, crc_step
from arrayloom.isa.fields import CHECK_BITS, FIELD_BYTES, check_of

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


def _shifted(m: Module, state: Value, bit: Value, number: int) -> Signal:
    """The definition: the state moves by a bit, and where what falls out differs from the message's the polynomial is added."""
    out = state[0] ^ bit
    return named(m, f"after_{number}", Mux(out, (state >> 1) ^ POLYNOMIAL, state >> 1)[:CHECK_BITS])


class Step(Harness):
    """Any state and any word, of any width that FETCH uses."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def describe(self) -> None:
        state, word = self.free("state", CHECK_BITS), self.free("word", self.width)
        wanted: Value = state
        for bit in range(self.width):
            wanted = _shifted(self.m, wanted, word[bit], bit)
        for bit in range(CHECK_BITS):
            self.claim(f"bit {bit} is that of the definition", named(self.m, "step", crc_step(state, word))[bit] == wanted[bit])


def _step(width: int) -> Callable[[], Harness]:
    return lambda: Step(width)


def _after(message: bytes) -> int:
    """The definition in whole numbers."""
    state = START
    for byte in message:
        for bit in range(8):
            out = (state ^ byte >> bit) & 1
            state = state >> 1 ^ (POLYNOMIAL if out else 0)
    return state ^ START


def test_the_definition_is_the_check_of_the_isa() -> None:
    """Both are linear in the bits of the message, so that they are equal where they are on each bit alone and on none."""
    size = FIELD_BYTES + CHECK_BITS // 8
    for bit in (None, *range(8 * size)):
        message = (0 if bit is None else 1 << bit).to_bytes(size, "little")
        fields, index = message[:FIELD_BYTES], int.from_bytes(message[FIELD_BYTES:], "little")
        assert _after(message).to_bytes(4, "little") == check_of(fields, index) == zlib.crc32(message).to_bytes(4, "little")


def test_it_is_linear() -> None:
    """Sums of three messages, at random: what the test above rests on."""
    rng, size = random.Random(1), FIELD_BYTES + CHECK_BITS // 8
    for _ in range(200):
        a, b, c = (rng.randbytes(size) for _ in range(3))
        total = bytes(x ^ y ^ z for x, y, z in zip(a, b, c, strict=True))
        assert zlib.crc32(total) == zlib.crc32(a) ^ zlib.crc32(b) ^ zlib.crc32(c)


FAULT = Fault("a bit of the polynomial is missing", crc._masks.__wrapped__, "POLYNOMIAL >> place & 1",
              "POLYNOMIAL >> place & 1 and place != 5")
CLAIM = "From any state a word of {} bits leads to the state that the CRC-32 of IEEE 802.3 defines bit by bit."
PROOFS = [
    *(Proof(f"CRC of {width} bits", "fetch", CLAIM.format(width), _step(width), Method.FLUSH, 0, faults=[FAULT],
            slow_faults=width > 32, slow=width > 64) for width in (32, 64, 128, 256, 512)),
]
