"""The activation memory: banks that several units read and write at once."""

from functools import reduce
from operator import xor

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from hdl.interfaces import MEMORY_LATENCY, read_port_signature, write_port_signature
from isa.config import Config

BANK_LATENCY = 1                                    # a block RAM's own
SELECT_LATENCY = MEMORY_LATENCY - BANK_LATENCY      # choosing among the banks

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
    read sees all writes accepted in earlier cycles. Addresses wrap at ``config.activation_words``.
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
            reads = [self._selects(port, bank, address_bits) for port in readers]
            writes = [self._selects(port, bank, address_bits) for port in writers]
            m.d.comb += [read.en.eq(Cat(reads).any()), write.en.eq(Cat(writes).any())]
            m.d.comb += read.addr.eq(_first(reads, [port.address[bank_bits:address_bits] for port in readers]))
            m.d.comb += write.addr.eq(_first(writes, [port.address[bank_bits:address_bits] for port in writers]))
            m.d.comb += write.data.eq(_first(writes, [port.data for port in writers]))
        for port in readers:
            self._deliver(m, port, memories, address_bits)
        return m

    def _arbitrate(self, m, ports, address_bits):
        """A port is ready unless one before it in order wants the same bank."""
        banks = [bank_of(port.address[:address_bits], self._config.activation_banks) for port in ports]
        for index, port in enumerate(ports):
            taken = [ports[other].valid & (banks[other] == banks[index]) for other in range(index)]
            m.d.comb += port.ready.eq(~Cat(taken).any())

    def _selects(self, port, bank, address_bits):
        banks = self._config.activation_banks
        return port.valid & port.ready & (bank_of(port.address[:address_bits], banks) == bank)

    def _deliver(self, m, port, memories, address_bits):
        banks = self._config.activation_banks
        chosen = Signal(range(banks), reset_less=True)
        accepted = Signal()
        word = Signal(self._config.word_bits, reset_less=True)
        m.d.sync += accepted.eq(port.valid & port.ready)
        with m.If(port.valid & port.ready):
            m.d.sync += chosen.eq(bank_of(port.address[:address_bits], banks))
        with m.If(accepted):
            m.d.sync += word.eq(Array(memories)[chosen])
        m.d.comb += port.data.eq(word)


def _first(selects, values):
    """The value of the first port selected, or the last port's; ports of lower priority are the cheaper default."""
    result = values[-1]
    for select, value in reversed(list(zip(selects[:-1], values[:-1], strict=True))):
        result = Mux(select, value, result)
    return result
