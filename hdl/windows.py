"""The parts of memory that LOAD may read and STORE may write, in words relative to the base."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config


def window_signature(config: Config) -> Signature:
    """The accessible words, seen from the unit that determines them.

    Members
    -------
    low : Out(ADDRESS_BITS - log2(size))
        The first word, relative to the base.
    high : Out(ADDRESS_BITS - log2(size))
        One more than the last.
    """
    bits = ADDRESS_BITS - exact_log2(config.size)
    return Signature({"low": Out(bits), "high": Out(bits)})


class Windows(Component):
    """The windows of LOAD and STORE, two cycles after the addresses; they contain only whole words.

    Parameters
    ----------
    config : Config
        ``size`` is the bytes in a word.

    Members
    -------
    base, limit : In(ADDRESS_BITS)
        The readable range: byte addresses of its first byte, which is also the base of addresses, and of its end.
    write_base, write_limit : In(ADDRESS_BITS)
        The writable range, likewise.
    load : Out(window_signature(config))
    store : Out(window_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "base": In(ADDRESS_BITS), "limit": In(ADDRESS_BITS),
            "write_base": In(ADDRESS_BITS), "write_limit": In(ADDRESS_BITS),
            "load": Out(window_signature(config)), "store": Out(window_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shift = exact_log2(self.config.size)
        low = self._from_base(m, "low", self.write_base)
        # the first whole word; if this needs one bit more there is none, since no word number is all ones
        first = low[shift:] + low[:shift].any()
        m.d.sync += [
            self.load.high.eq(self._from_base(m, "read_high", self.limit) >> shift),
            self.store.low.eq(first[:-1] | first[-1].replicate(len(self.store.low))),
            self.store.high.eq(self._from_base(m, "write_high", self.write_limit) >> shift),
        ]
        return m

    def _from_base(self, m: Module, name: str, address: Value) -> Signal:
        """The distance in bytes of ``address`` from the base, 0 if it is below."""
        beyond = Signal(ADDRESS_BITS, name=name)
        m.d.sync += beyond.eq(Mux(address > self.base, address - self.base, 0))
        return beyond
