"""What of memory LOAD may read and STORE may write, in words from the base of their addresses."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config


def window_signature(config: Config) -> Signature:
    """Words that may be accessed, seen from where they are known.

    Members
    -------
    low : Out(ADDRESS_BITS - log2(size))
        The first, counted from the base.
    high : Out(ADDRESS_BITS - log2(size))
        One more than the last.
    """
    bits = ADDRESS_BITS - exact_log2(config.size)
    return Signature({"low": Out(bits), "high": Out(bits)})


class Windows(Component):
    """The windows of LOAD and STORE, two cycles after the addresses; only whole words lie in them.

    Parameters
    ----------
    config : Config
        ``size`` is the bytes in a word.

    Members
    -------
    base, limit : In(ADDRESS_BITS)
        What may be read: byte addresses of its first byte, from which addresses are counted too, and of its end.
    write_base, write_limit : In(ADDRESS_BITS)
        Likewise, what may be written.
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
        # The first whole word, of which there is none where this has one bit more: no word is as high as all ones.
        first = low[shift:] + low[:shift].any()
        m.d.sync += [
            self.load.high.eq(self._from_base(m, "read_high", self.limit) >> shift),
            self.store.low.eq(first[:-1] | first[-1].replicate(len(self.store.low))),
            self.store.high.eq(self._from_base(m, "write_high", self.write_limit) >> shift),
        ]
        return m

    def _from_base(self, m: Module, name: str, address: Value) -> Signal:
        """How many bytes ``address`` lies beyond the base, 0 where it lies before."""
        beyond = Signal(ADDRESS_BITS, name=name)
        m.d.sync += beyond.eq(Mux(address > self.base, address - self.base, 0))
        return beyond
