"""The scratchpad: banks that several units read and write concurrently."""

from typing import Any

from amaranth.hdl import Array, Assert, Cat, Module, Mux, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, PureInterface
from amaranth.utils import ceil_log2

from arrayloom.hdl.interfaces import MEMORY_LATENCY, read_port_signature, write_port_signature
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import Config

BANK_LATENCY = 1        # a block RAM's own
WORD_LATENCY = 1        # the register at its end
REQUEST_LATENCY = 1     # on the way to banks spread over the chip
assert REQUEST_LATENCY + BANK_LATENCY + WORD_LATENCY == MEMORY_LATENCY

READERS = ("array", "post", "store")                # in order of priority, in every accelerator
WRITERS = ("post_write", "load")


def readers_of(config: Config) -> tuple[str, ...]:
    """The readers in order of priority."""
    optional = (*(("depthwise",) if config.depthwise_channels else ()), *(("attention",) if config.attention_lanes else ()))
    return READERS[0], *optional, *READERS[1:]


def writers_of(config: Config) -> tuple[str, ...]:
    """The writers in order of priority."""
    return (WRITERS[0], "attention_write", *WRITERS[1:]) if config.attention_lanes else WRITERS


class Scratchpad(Component):
    """``activation_banks`` banks of simple dual-port block RAM, one read and one write in each cycle each.

    Of several requests to one bank, the first in the order of ``readers_of`` or ``writers_of`` is accepted. An accepted read
    sees all writes accepted in earlier cycles. Tokens ensure that a word is never read in the cycle in which it is written,
    so any block RAM is suitable. Addresses wrap at ``activation_words``.

    Parameters
    ----------
    config : Config
        ``activation_words`` words in ``activation_banks`` banks.

    Members
    -------
    array : In(read_port_signature(config))
        The first reader: always ready.
    depthwise, attention : In(read_port_signature(config))
        If there is such a unit.
    post : In(read_port_signature(config))
    store : In(read_port_signature(config))
    post_write : In(write_port_signature(config))
        The first writer: always ready.
    attention_write : In(write_port_signature(config))
        Where there is such a unit.
    load : In(write_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({name: In(read_port_signature(config)) for name in readers_of(config)}
                         | {name: In(write_port_signature(config)) for name in writers_of(config)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        banks = self.config.activation_banks
        address_bits = ceil_log2(self.config.activation_words)
        bank_bits = ceil_log2(banks)
        readers = [getattr(self, name) for name in readers_of(self.config)]
        writers = [getattr(self, name) for name in writers_of(self.config)]
        for group in (readers, writers):
            self._arbitrate(m, group)
        words: list[Value] = []
        for bank in range(banks):
            memory = Memory(shape=self.config.word_bits, depth=self.config.activation_words // banks, init=[])
            m.submodules[f"bank_{bank}"] = memory
            read, write = memory.read_port(), memory.write_port()
            reads, writes = ([port.valid & (port.bank == bank) for port in ports] for ports in (readers, writers))
            m.d.sync += [read.en.eq(Cat(reads).any()), write.en.eq(Cat(writes).any())]
            with m.If(Cat(reads).any()):
                m.d.sync += read.addr.eq(_first(reads, [port.address[bank_bits:address_bits] for port in readers]))
            with m.If(Cat(writes).any()):
                m.d.sync += write.addr.eq(_first(writes, [port.address[bank_bits:address_bits] for port in writers]))
                m.d.sync += write.data.eq(_first(writes, [port.data for port in writers]))
            m.d.sync += Assert(~(read.en & write.en & (read.addr == write.addr)))
            # one register per bank, not per port: it is the output register of the block RAM, which is slow without it
            arrives = flag_line(m, read.en, BANK_LATENCY, f"arrives_{bank}")[-1]
            words.append(data_register(m, read.data, arrives, f"word_{bank}"))
        for port in readers:
            self._deliver(m, port, words)
        return m

    @staticmethod
    def _arbitrate(m: Module, ports: list[PureInterface]) -> None:
        """A port is ready unless one with higher priority requests the same bank."""
        for index, port in enumerate(ports):
            m.d.comb += port.ready.eq(~Cat(first.valid & (first.bank == port.bank) for first in ports[:index]).any())

    def _deliver(self, m: Module, port: PureInterface, words: list[Value]) -> None:
        moves = flag_line(m, port.valid & port.ready, MEMORY_LATENCY - 1, "moves")
        m.d.comb += port.data.eq(Array(words)[delay(m, port.bank, moves)])


def _first(selects: list[Value], values: list[Value]) -> Value:
    """The value of the first port that requests the bank, which is the ready one; else the last port's."""
    result = values[-1]
    for select, value in reversed(list(zip(selects[:-1], values[:-1], strict=True))):
        result = Mux(select, value, result)
    return result
