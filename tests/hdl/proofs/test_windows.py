"""The windows of LOAD and STORE: which words of memory are inside them."""

from amaranth.hdl import C, Cat
from amaranth.utils import exact_log2
from proving import Fault, Harness, Method, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.windows import Windows
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class Words(Harness):
    """Any constant limits, and for any word, whether the window contains it."""

    def describe(self) -> None:
        config = PRESETS["tiny"]
        unit, shift = Windows(config), exact_log2(config.size)
        self.place(unit)
        limits = {name: self.fixed(name, ADDRESS_BITS) for name in ("base", "limit", "write_base", "write_limit")}
        self.drive(unit, **limits)
        word = self.fixed("word", ADDRESS_BITS - shift)
        first, base = Cat(C(0, shift), word), limits["base"]
        begin = base + first
        end = begin + config.size
        for name, window, low, high in (("LOAD", unit.load, base, limits["limit"]),
                                        ("STORE", unit.store, limits["write_base"], limits["write_limit"])):
            inside = (word >= window.low) & (word < window.high)
            self.claim(f"a word is in the window of {name} exactly if it lies whole within its limits",
                       inside == ((begin >= low) & (end <= high)))


PROOFS = [
    Proof("words of windows", "control",
          "Two cycles after the limits a word counted from BASE is in a window exactly if all its bytes lie within the "
          "window's limits.", Words, Method.FLUSH, 2, slow=True, faults=[
              Fault("a partial word is inside", Windows.elaborate, "+ low[:shift].any()", "+ 0"),
              Fault("the first word wraps", Windows.elaborate, "first[:-1] | first[-1].replicate(len(self.store.low))",
                    "first[:-1]"),
              Fault("words before the base count as inside", Windows._from_base,
                    "Mux(address > self.base, address - self.base, 0)",
                    "(address - self.base)[:ADDRESS_BITS]"),
              Fault("reads may go where writes may", Windows.elaborate, '"read_high", self.limit',
                    '"read_high", self.write_limit')]),
]
