"""The activation memory: banks that several units read and write at once."""

from functools import reduce
from operator import xor

from amaranth import Array, Assert, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from hdl.interfaces import MEMORY_LATENCY, read_port_signature, write_port_signature
from isa.config import Config

BANK_LATENCY = 1        # a block RAM's own
SELECT_LATENCY = 1      # choosing among the banks
REQUEST_LATENCY = MEMORY_LATENCY - BANK_LATENCY - SELECT_LATENCY    # on the way to banks that lie all over a chip

READERS = ("array", "post", "store")                # in order of priority
WRITERS = ("post_write", "load")


def bank_of(address: Value, banks: int) -> Value:
    """The bank of a word: every bank bit is the XOR of each ``log2(banks)``-th address bit.

    So powers of two as strides spread over the banks, and the address bits above the lowest ``log2(banks)`` are the
    place within the bank: with the bank they determine the address.
    """
    bits = ceil_log2(banks)
    return Cat(reduce(xor, address[bit::bits]) for bit in range(bits))


class ActivationMemory(wiring.Component):
    """``config.activation_banks`` banks of simple dual-port block RAM, one read and one write a cycle each.

    Members: read ports ``array`` (always ready), ``post`` and ``store``, and write ports ``post_write`` (always ready)
    and ``load``, each seen from the unit; of requests to one bank the first in this order is accepted. An accepted
    read sees all writes accepted in earlier cycles; a word is never read in the cycle in which it is written, which is what
    tokens are for, so that any block RAM will do. Addresses wrap at ``config.activation_words``.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({name: In(read_port_signature(config)) for name in READERS}
                         | {name: In(write_port_signature(config)) for name in WRITERS})

    def elaborate(self, platform):
        m = Module()
        banks = self._config.activation_banks
        address_bits = ceil_log2(self._config.activation_words)
        bank_bits = ceil_log2(banks)
        readers = [getattr(self, name) for name in READERS]
        writers = [getattr(self, name) for name in WRITERS]
        for group in (readers, writers):
            self._arbitrate(m, group, address_bits)
        memories = []
        for bank in range(banks):
            memory = Memory(shape=self._config.word_bits, depth=self._config.activation_words // banks, init=[])
            m.submodules[f"bank_{bank}"] = memory
            read, write = memory.read_port(), memory.write_port()
            memories.append(read.data)
            reads = [self._wants(port, bank, address_bits) for port in readers]
            writes = [self._wants(port, bank, address_bits) for port in writers]
            m.d.sync += [read.en.eq(Cat(reads).any()), write.en.eq(Cat(writes).any())]
            with m.If(Cat(reads).any()):
                m.d.sync += read.addr.eq(_first(reads, [port.address[bank_bits:address_bits] for port in readers]))
            with m.If(Cat(writes).any()):
                m.d.sync += write.addr.eq(_first(writes, [port.address[bank_bits:address_bits] for port in writers]))
                m.d.sync += write.data.eq(_first(writes, [port.data for port in writers]))
            m.d.sync += Assert(~(read.en & write.en & (read.addr == write.addr)))
        for port in readers:
            self._deliver(m, port, memories, address_bits)
        return m

    def _arbitrate(self, m, ports, address_bits):
        """A port is ready unless one before it in order wants the same bank."""
        banks = [bank_of(port.address[:address_bits], self._config.activation_banks) for port in ports]
        for index, port in enumerate(ports):
            taken = [ports[other].valid & (banks[other] == banks[index]) for other in range(index)]
            m.d.comb += port.ready.eq(~Cat(taken).any())

    def _wants(self, port, bank, address_bits):
        return port.valid & (bank_of(port.address[:address_bits], self._config.activation_banks) == bank)

    def _deliver(self, m, port, memories, address_bits):
        banks = self._config.activation_banks
        moves, chosen = port.valid & port.ready, bank_of(port.address[:address_bits], banks)
        for stage in range(REQUEST_LATENCY + BANK_LATENCY):
            moved, held = Signal(name=f"moved_{stage}"), Signal(range(banks), name=f"chosen_{stage}", reset_less=True)
            m.d.sync += moved.eq(moves)
            with m.If(moves):
                m.d.sync += held.eq(chosen)
            moves, chosen = moved, held
        word = Signal(self._config.word_bits, reset_less=True)
        with m.If(moves):
            m.d.sync += word.eq(Array(memories)[chosen])
        m.d.comb += port.data.eq(word)


def _first(selects, values):
    """The value of the first port that wants the bank, which is the one that is ready; or the last port's."""
    result = values[-1]
    for select, value in reversed(list(zip(selects[:-1], values[:-1], strict=True))):
        result = Mux(select, value, result)
    return result
