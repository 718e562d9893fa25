"""Lanes: from the values of a group of channels to its bytes, all lanes in step."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from hdl.post.records import ADD_OFFSET, CLAMP, OPERANDS, RATIO_A, RATIO_B, SUM_CLAMP, byte_word
from hdl.post.requantize import Requantize
from hdl.post.residual import ResidualAdd
from hdl.post.rounding import clamp
from hdl.post.settings import Settings
from hdl.post.stages import BYTE, OPERAND, REQUANTIZED, SUMMED
from hdl.post.tokens import channel_of, token_layout
from isa.config import Config

_ADDER_SETTINGS = {
    "operands": (OPERANDS, ResidualAdd.OPERANDS_AT), "ratio_b": (RATIO_B, ResidualAdd.RATIO_B_AT),
    "add_offset": (ADD_OFFSET, ResidualAdd.ADD_OFFSET_AT), "ratio_a": (RATIO_A, ResidualAdd.RATIO_A_AT),
    "sum_clamp": (SUM_CLAMP, ResidualAdd.SUM_CLAMP_AT),
}


class Lanes(Component):
    """Requantizes, clamps, and adds the residual where the instruction says so.

    Members
    -------
    at, valid : In
        The tokens at stages 0 to ``SUMMED``.
    push, push_add : In(1)
        Keep the records of an instruction that enters the unit; that it adds a residual.
    clamp, operands, ratio_b, add_offset, ratio_a, sum_clamp : In
        The records.
    values : In(int32 a lane)
        With the token at ``OPERAND``.
    biases, scales : In(32 bits a lane)
        Biases beside the values, scales ``Requantize.SCALE_AT`` cycles later.
    residual : In(word)
        The next residual word, for the group at ``BYTE``.
    used_residual : Out(1)
        It is not needed any more.
    bytes : Out(signed bytes, one a lane)
        With the token at ``SUMMED``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        words = data.ArrayLayout(32, config.lanes)
        super().__init__({
            "at": In(data.ArrayLayout(token_layout(config), SUMMED + 1)), "valid": In(SUMMED + 1),
            "push": In(1), "push_add": In(1), "clamp": In(CLAMP),
            **{name: In(layout) for name, (layout, _) in _ADDER_SETTINGS.items()},
            "values": In(data.ArrayLayout(signed(32), config.lanes)), "biases": In(words), "scales": In(words),
            "residual": In(byte_word(config)), "used_residual": Out(1),
            "bytes": Out(data.ArrayLayout(signed(8), config.lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        own = self._requantize(m)
        passed = self._bypass(m, own)
        sums = self._add(m, own)
        m.d.comb += [out.eq(Mux(self.at[SUMMED].add, total, byte))
                     for out, total, byte in zip(self.bytes, sums, passed, strict=True)]
        return m

    def _requantize(self, m):
        """The lanes' own bytes, at stage BYTE."""
        m.submodules.clamp_settings = settings = Settings(CLAMP)
        before = REQUANTIZED - 1
        m.d.comb += [settings.push.eq(self.push), settings.record.eq(self.clamp),
                     settings.load.eq(self.valid[before] & self.at[before].first)]
        limits, own = settings.value, []
        for lane in range(self.config.lanes):
            m.submodules[f"requantize_{lane}"] = unit = Requantize()
            m.d.comb += [
                unit.enables.eq(self.valid[OPERAND:REQUANTIZED]), unit.sum.eq(self.values[lane]),
                unit.bias.eq(self.biases[lane]), unit.scale.eq(self.scales[lane]),
            ]
            byte = Signal(signed(8), name=f"byte_{lane}", reset_less=True)
            with m.If(self.valid[REQUANTIZED]):
                m.d.sync += byte.eq(clamp(m, unit.result + limits.zero_point, limits.low, limits.high))
            own.append(byte)
        return own

    def _bypass(self, m, own):
        """The bytes that nothing is added to, beside the adder: in a memory, where each moves once and not each cycle."""
        depth = 1 << ceil_log2(SUMMED - BYTE)
        m.submodules.bypass = storage = memory.Memory(
            shape=data.ArrayLayout(signed(8), self.config.lanes), depth=depth, init=[])
        write, read = storage.write_port(), storage.read_port(domain="sync")
        newest, oldest = Signal(range(depth)), Signal(range(depth))
        m.d.comb += [
            write.en.eq(self.valid[BYTE] & ~self.at[BYTE].add), write.addr.eq(newest), write.data.eq(Cat(own)),
            read.en.eq(self.valid[SUMMED - 1] & ~self.at[SUMMED - 1].add), read.addr.eq(oldest),
        ]
        with m.If(write.en):
            m.d.sync += newest.eq(newest + 1)
        with m.If(read.en):
            m.d.sync += oldest.eq(oldest + 1)
        return read.data

    def _add(self, m, own):
        token, enables = self.at[BYTE], Signal(ResidualAdd.LATENCY)
        constants = {name: self._adder_settings(m, name) for name in _ADDER_SETTINGS}
        m.d.comb += [
            enables.eq(Cat(self.valid[stage] & self.at[stage].add for stage in range(BYTE, SUMMED))),
            self.used_residual.eq(enables[0] & token.final),
        ]
        sums = []
        for lane, byte in enumerate(own):
            m.submodules[f"add_{lane}"] = adder = ResidualAdd()
            m.d.comb += [adder.enables.eq(enables), adder.own.eq(byte),
                         adder.other.eq(channel_of(self.residual, token.group, lane, self.config))]
            m.d.comb += [getattr(adder, name).eq(value) for name, value in constants.items()]
            sums.append(adder.result)
        return sums

    def _adder_settings(self, m, name):
        layout, step = _ADDER_SETTINGS[name]
        m.submodules[f"{name}_settings"] = settings = Settings(layout)
        before = BYTE + step - 1
        token = self.at[before]
        m.d.comb += [settings.push.eq(self.push_add), settings.record.eq(getattr(self, name)),
                     settings.load.eq(self.valid[before] & token.first & token.add)]
        return settings.value
