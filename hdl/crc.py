"""CRC-32 of IEEE 802.3 over words: each bit of the next state is an XOR of bits of the state and of the word."""

from functools import cache

from amaranth.hdl import Cat, Const, Value

from arrayloom.isa.fields import CHECK_BITS

POLYNOMIAL = 0xEDB88320     # lowest bit first, like ``zlib.crc32``
START = (1 << CHECK_BITS) - 1
"""The initial state; the checksum is the final state with every bit inverted."""


def crc_step(state: Value, word: Value) -> Value:
    """The state after ``word``, lowest bit first.

    Parameters
    ----------
    state : Value
        ``CHECK_BITS`` bits.
    word : Value

    Returns
    -------
    Value
        ``CHECK_BITS`` bits.
    """
    given = Cat(state, word)
    return Cat((given & Const(mask, len(given))).xor() for mask in _masks(len(word)))


@cache
def _masks(width: int) -> tuple[int, ...]:
    """For each bit of the next state, the bits of state and word (state in the lowest bits) whose XOR it is."""
    state = [1 << bit for bit in range(CHECK_BITS)]
    for bit in range(width):
        out = state[0] ^ 1 << CHECK_BITS + bit
        state = [*state[1:], 0]
        state = [each ^ (out if POLYNOMIAL >> place & 1 else 0) for place, each in enumerate(state)]
    return tuple(state)
