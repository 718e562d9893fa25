"""Banks of sums that the ATTENTION unit fills, lane group by lane group, and the POST unit drains."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.array.banks import AccumulatorBanks
from arrayloom.hdl.interfaces import MEMORY_LATENCY, accumulator_read_signature
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config

SUM_BITS = 32


class SumBanks(Component):
    """Two banks in block RAM.

    Parameters
    ----------
    config : Config

    Members
    -------
    free : Out(1)
        A bank is empty.
    taken : In(1)
        A pulse: that bank is begun.
    write : In(1)
        ``sums`` are those of ``group`` of pixel ``address`` of the bank that was begun.
    group : In(range(size / attention_lanes))
    address : In(range(accumulator_depth))
    sums : In(32 * attention_lanes)
    done : In(1)
        With ``write``: the last of the bank.
    read : In(accumulator_read_signature(config))
        For the POST unit.
    used, full : Out(range(ACCUMULATOR_BANKS + 1))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.groups = config.size // config.attention_lanes
        count = range(ACCUMULATOR_BANKS + 1)
        super().__init__({
            "free": Out(1), "taken": In(1), "write": In(1), "group": In(range(self.groups)),
            "address": In(ceil_log2(config.accumulator_depth)), "sums": In(SUM_BITS * config.attention_lanes), "done": In(1),
            "read": In(accumulator_read_signature(config)), "used": Out(count), "full": Out(count),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self.config
        width = SUM_BITS * config.attention_lanes
        m.submodules.banks = banks = AccumulatorBanks(config)
        m.submodules.memory = memory = Memory(
            shape=unsigned(width * self.groups), depth=ACCUMULATOR_BANKS * config.accumulator_depth, init=[])
        write, read = memory.write_port(granularity=width), memory.read_port()
        bank = Signal()
        ended = self.write & self.done
        with m.If(ended):
            m.d.sync += bank.eq(~bank)
        written = flag_line(m, ended, 1, "ended")[-1]
        enable = flag_line(m, self.read.enable, MEMORY_LATENCY - 1, "enable")
        asked = data_register(m, Cat(self.read.address, banks.drain), self.read.enable, "asked")
        arrives = enable[-1]
        m.d.comb += [
            banks.taken.eq(self.taken), banks.ended.eq(ended), banks.position.eq(self.address),
            banks.written.eq(written),
            banks.release.eq(self.read.release), self.free.eq(banks.free), self.used.eq(banks.used),
            self.full.eq(banks.full),
            self.read.available.eq(banks.available), self.read.last.eq(banks.last),
            write.en.eq(self.write << self.group), write.addr.eq(Cat(self.address, bank)),
            write.data.eq(Cat(self.sums for _ in range(self.groups))),
            read.en.eq(enable[1]), read.addr.eq(asked),
            self.read.data.as_value().eq(delay(m, read.data, [arrives], "word")),
        ]
        return m
