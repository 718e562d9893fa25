"""The scratchpad: a read returns the last word written, at any address, while all ports work."""

from dataclasses import replace
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Mux, Signal, Value
from amaranth.utils import ceil_log2
from proving import Fault, Harness, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of
from arrayloom.hdl.scratchpad import READERS, WRITERS, Scratchpad
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG = replace(PRESETS["tiny"], name="small", activation_bytes=1024)     # the smallest possible scratchpad
BITS = ceil_log2(CONFIG.activation_words)
BANK_BITS = ceil_log2(CONFIG.activation_banks)


class Words(Harness):
    """An arbitrary word is followed: the last value written to it, and the value that each port reads.

    A word is not read in the cycle in which it is written: tokens ensure it, and the scratchpad asserts it.
    """

    def describe(self) -> None:
        self.unit = unit = Scratchpad(CONFIG)
        self.inside = self.place(unit)
        self.readers, self.writers = ([getattr(unit, name) for name in names] for names in (READERS, WRITERS))
        ports = {name: getattr(unit, name) for name in READERS + WRITERS}
        self.drive(unit, **{f"{name}__bank": bank_of(port.address[:BITS], CONFIG) for name, port in ports.items()})
        self.watched = self.fixed("watched", BITS)
        self.bank = bank_of(self.watched, CONFIG)
        for reader in self.readers:
            for writer in self.writers:
                same = self._accepted(reader) & self._accepted(writer) & (reader.address[:BITS] == writer.address[:BITS])
                self.assume("no word is read while it is written", ~same)
        self._last_written()
        self._read()
        self._arbitrated()
        self.cover("every port reads the word in turn", Cat(self.past(self._accepted(self.readers[0])),
                                                        self._accepted(self.readers[1]),
                                                       self._accepted(self.readers[2])).all())
        self.cover("it is read after it was written", self.past(self.started) & self.seen[0][2] & (self.last == 77))

    def _accepted(self, port: object) -> Value:
        return port.valid & port.ready      # type: ignore[attr-defined]

    def _hits(self, port: object) -> Value:
        return self._accepted(port) & (port.address[:BITS] == self.watched)     # type: ignore[attr-defined]

    def _last_written(self) -> None:
        """The word after all outstanding writes, and its place until then."""
        self.last = Signal(CONFIG.word_bits, name="last")
        writes = [self._hits(writer) for writer in self.writers]
        data = Mux(writes[0], self.writers[0].data, self.writers[1].data)
        self.m.d.sync += self.last.eq(Mux(reduce(or_, writes), data, Mux(self.started, self.last, self._stored())))
        under_way = self.past(reduce(or_, writes))
        enable, address, given = (Array(self._writing(name))[self.bank] for name in ("en", "addr", "data"))
        here = address == self.watched[BANK_BITS:]
        self.claim("a write to its bank is in the pipeline", ~under_way | (enable & here & (given == self.last)))
        self.claim("no other write to it is in the pipeline", under_way | ~(enable & here))
        self.claim("else the word is in its bank", ~self.started | under_way | (self._stored() == self.last))

    def _stored(self) -> Value:
        if not hasattr(self, "_words"):
            self._words = [self.word(self.inside, f"bank_{bank}", self.watched[BANK_BITS:])
                           for bank in range(CONFIG.activation_banks)]
        return Array(self._words)[self.bank]

    def _writing(self, name: str) -> list[Value]:
        ports = [self.inside.memory(f"bank_{bank}")._write_ports[0] for bank in range(CONFIG.activation_banks)]
        values = {"en": [port._en[0] for port in ports], "addr": [port._addr for port in ports],
                  "data": [port._data for port in ports]}
        return values[name]

    def _read(self) -> None:
        self.seen = []
        for name, reader in zip(READERS, self.readers, strict=True):
            hits = self.ages(self._hits(reader), MEMORY_LATENCY, f"{name}_asked")
            known = self.last
            for age in range(1, MEMORY_LATENCY + 1):
                known = self.past(known, f"{name}_is_due_{age}")
            self.seen.append(hits)
            self.claim(f"{name} reads what was written last", ~hits[-1] | ~self._old_enough() | (reader.data == known))

    def _old_enough(self) -> Value:
        """The word that was there at reset is known after the first cycle."""
        return self.ages(self.started, MEMORY_LATENCY, "known")[-1]

    def _arbitrated(self) -> None:
        for kind, ports in (("read", self.readers), ("written", self.writers)):
            self.claim(f"the first of those that are {kind} is always ready", ports[0].ready)
            for index, port in enumerate(ports):
                for other in ports[:index]:
                    both = self._accepted(port) & self._accepted(other)
                    self.claim(f"no bank is {kind} by two", ~both | (port.bank != other.bank))
                waits = reduce(or_, [other.valid & (other.bank == port.bank) for other in ports[:index]], Value.cast(0))
                self.claim(f"a port waits only for one before it that is {kind}", port.ready | waits)


PROOFS = [
    Proof("words of the scratchpad", "scratchpad",
          "Every port reads the word that was written last to its address, whatever the others do; no bank is read or "
          "written by two in a cycle, and a port waits only for one of higher priority.",
          Words,
          depth=4, cover_depth=8, cover_solver="z3", slow_faults=True, faults=[
              Fault("two ports get one bank", Scratchpad._arbitrate, "for first in ports[:index]",
                    "for first in ports[:index - 1]"),
              Fault("data come from the wrong bank", Scratchpad._deliver, "delay(m, port.bank, moves)",
                    "delay(m, port.bank, moves[:-1])"),
              Fault("the lower port's word is written", Scratchpad.elaborate,
                    "_first(writes, [port.data for port in writers])",
                    "writers[-1].data"),
              Fault("an address lacks its highest bit", Scratchpad.elaborate,
                    "_first(reads, [port.address[bank_bits:address_bits]",
                    "_first(reads, [port.address[bank_bits:address_bits - 1]"),
          ]),
]
