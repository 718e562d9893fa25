"""Lanes: convert the values of a group of channels to bytes, all lanes in lockstep."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.pipeline import data_register
from arrayloom.hdl.post.records import IN_FLIGHT, SETTINGS, byte_word
from arrayloom.hdl.post.requantize import Requantize
from arrayloom.hdl.post.residual import ResidualAdd
from arrayloom.hdl.post.rounding import clamp
from arrayloom.hdl.post.settings import Settings
from arrayloom.hdl.post.stages import BYTE, OPERAND, REQUANTIZED, SUMMED
from arrayloom.hdl.post.tokens import at, chain_layout, channel_of
from arrayloom.isa.config import Config

# The stage at which each record is used; those of the adder are stored only for instructions that add.
_OWN = {"zero_point": OPERAND + Requantize.ZERO_POINT_AT, "clamp": REQUANTIZED}
_ADDER = {
    "operands": BYTE + ResidualAdd.OPERANDS_AT, "factors": BYTE + ResidualAdd.FACTORS_AT,
    "ratio_b": BYTE + ResidualAdd.RATIO_B_AT, "add_offset": BYTE + ResidualAdd.ADD_OFFSET_AT,
    "ratio_a": BYTE + ResidualAdd.RATIO_A_AT,
    "sum_offset": BYTE + ResidualAdd.SUM_OFFSET_AT, "sum_clamp": BYTE + ResidualAdd.SUM_CLAMP_AT,
}


class Lanes(Component):
    """Requantizes, clamps, and adds the residual of instructions that have one.

    Parameters
    ----------
    config : Config
        ``lanes`` channels are processed per cycle.

    Members
    -------
    chains : In(chain_layout(config, SUMMED + 1))
        The tokens at stages 0 to ``SUMMED``.
    push : In(1)
        Store the records of an entering instruction in ``slot``.
    adds : In(1)
        With ``push``: it adds a residual.
    slot : In(range(IN_FLIGHT))
        The instruction's place among those in flight.
    zero_point, clamp, operands, factors, ratio_b, add_offset, ratio_a, sum_offset, sum_clamp : In(SETTINGS[name])
        The records.
    values : In(ArrayLayout(signed(32), lanes))
        With the token at ``OPERAND``.
    biases : In(ArrayLayout(32, lanes))
        With the values.
    scales : In(ArrayLayout(32, lanes))
        ``Requantize.SCALE_AT`` cycles after the values.
    residual : In(byte_word(config))
        The next residual word, for the group at ``REQUANTIZED``.
    used_residual : Out(1)
        The residual word is no longer needed.
    bytes : Out(ArrayLayout(signed(8), lanes))
        With the token at ``SUMMED``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        words = data.ArrayLayout(32, config.lanes)
        super().__init__({
            "chains": In(chain_layout(config, SUMMED + 1)),
            "push": In(1), "adds": In(1), "slot": In(range(IN_FLIGHT)),
            **{name: In(layout) for name, layout in SETTINGS.items()},
            "values": In(data.ArrayLayout(signed(32), config.lanes)), "biases": In(words), "scales": In(words),
            "residual": In(byte_word(config)), "used_residual": Out(1),
            "bytes": Out(data.ArrayLayout(signed(8), config.lanes)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        own = self._requantize(m)
        passed = self._bypass(m, own)
        sums = self._add(m, own)
        added = at(self.chains, SUMMED).add
        m.d.comb += [out.eq(Mux(added, total, byte)) for out, total, byte in zip(self.bytes, sums, passed, strict=True)]
        return m

    def _settings(self, m: Module, name: str, stage: int, adder: bool) -> data.View:
        """The record for the group at ``stage``."""
        m.submodules[f"{name}_settings"] = settings = Settings(SETTINGS[name])
        before = at(self.chains, stage - 1)
        m.d.comb += [
            settings.push.eq(self.push & self.adds if adder else self.push), settings.slot.eq(self.slot),
            settings.record.eq(getattr(self, name)),
            settings.load.eq(before.first & before.add if adder else before.first), settings.wanted.eq(before.slot),
        ]
        return settings.value

    def _requantize(self, m: Module) -> list[Value]:
        """The lanes' own bytes, at stage BYTE."""
        constants = {name: self._settings(m, name, stage, adder=False) for name, stage in _OWN.items()}
        valid, limits, own = self.chains.valid[0], constants["clamp"], []
        for lane in range(self.config.lanes):
            m.submodules[f"requantize_{lane}"] = unit = Requantize()
            m.d.comb += [
                unit.enables.eq(valid[OPERAND:REQUANTIZED]), unit.sum.eq(self.values[lane]),
                unit.bias.eq(self.biases[lane]), unit.scale.eq(self.scales[lane]),
                unit.zero_point.eq(constants["zero_point"].zero_point),
            ]
            byte = Signal(signed(8), name=f"byte_{lane}", reset_less=True)
            with m.If(valid[REQUANTIZED]):
                m.d.sync += byte.eq(clamp(unit.result, limits.low, limits.high))
            own.append(byte)
        return own

    def _bypass(self, m: Module, own: list[Value]) -> data.View:
        """Bytes without an addition bypass the adder in a memory, in which each moves once instead of in every cycle."""
        depth = 1 << ceil_log2(SUMMED - BYTE)
        m.submodules.bypass = storage = memory.Memory(
            shape=data.ArrayLayout(signed(8), self.config.lanes), depth=depth, init=[])
        write, read = storage.write_port(), storage.read_port(domain="sync")
        newest, oldest = Signal(range(depth)), Signal(range(depth))
        enters, leaves = at(self.chains, BYTE), at(self.chains, SUMMED - 1)
        m.d.comb += [
            write.en.eq(enters.valid & ~enters.add), write.addr.eq(newest), write.data.eq(Cat(own)),
            read.en.eq(leaves.valid & ~leaves.add), read.addr.eq(oldest),
        ]
        with m.If(write.en):
            m.d.sync += newest.eq(newest + 1)
        with m.If(read.en):
            m.d.sync += oldest.eq(oldest + 1)
        return read.data

    def _add(self, m: Module, own: list[Value]) -> list[Value]:
        token = at(self.chains, REQUANTIZED)
        constants = {name: self._settings(m, name, stage, adder=True) for name, stage in _ADDER.items()}
        m.d.comb += self.used_residual.eq(token.add & token.final)
        sums = []
        for lane, byte in enumerate(own):
            m.submodules[f"add_{lane}"] = adder = ResidualAdd()
            # selected in the previous cycle, while the lane clamps its own byte
            other = channel_of(self.residual, token.group, lane, self.config)
            m.d.comb += [
                adder.enables.eq(self.chains.add[0][BYTE:SUMMED]), adder.own.eq(byte),
                adder.other.eq(data_register(m, other, token.add, f"other_{lane}")),
            ]
            m.d.comb += [getattr(adder, name).eq(value) for name, value in constants.items()]
            sums.append(adder.result)
        return sums
