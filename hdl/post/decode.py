"""Decode: splits an instruction into the records of the POST unit's parts."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import INSTRUCTION, instruction_layout
from arrayloom.hdl.post.records import (
    ADD_OFFSET,
    CLAMP,
    FACTORS,
    OPERANDS,
    RATIO_A,
    RATIO_B,
    REGION,
    RESIDUAL,
    SETTINGS,
    SUM_CLAMP,
    SUM_OFFSET,
    TERM,
    WINDOW,
    WORK,
    ZERO_POINT,
    Origin,
)
from arrayloom.hdl.post.tokens import choose
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import (
    ADD_FRACTION,
    PRODUCT_OFFSETS,
    Drain,
    DrainAttention,
    DrainDepthwise,
    Elementwise,
    Pool,
    PoolKind,
)

_ORIGINS: dict[int, Origin] = {PoolKind.MAXIMUM: Origin.BYTES, PoolKind.SUM: Origin.SUM, PoolKind.AVERAGE: Origin.AVERAGE}

CHECKS = 5  # bits of ``Decode.checks``, registered separately: combined they would take too long for one cycle


def optional_drain(config: Config) -> type[Drain] | None:
    """The Drain of the sums of a unit next to the array; None where there is no such unit."""
    if config.attention_lanes:
        return DrainAttention
    return DrainDepthwise if config.depthwise_channels else None


class Decode(Component):
    """Combinational. An Elementwise is a maximum over windows of one word; only a Drain reads no window.

    Parameters
    ----------
    optional : type or None
        The Drain of the sums of a unit next to the array, where there is one.

    Members
    -------
    instruction : In(INSTRUCTION)
        A raw instruction.
    checks : Out(CHECKS)
        The instruction is legal when all of these bits are set: no extent is zero; no lower clamp is above its upper one;
        with ``adds`` the clamp of the sum and the constants of a product are sound; it is a POST instruction without
        reserved bits whose pool kind exists and whose numbers of taps are not zero. That its words lie within the
        scratchpad, and that a Drain has the pixels of its bank, is checked during execution.
    reads : Out(1)
        It reads windows.
    averages : Out(1)
        It is an average.
    adds : Out(1)
        It adds a residual.
    work : Out(WORK)
        For every instruction, like ``region``, ``zero_point`` and ``clamp``.
    region : Out(REGION)
        Where the results go.
    window : Out(WINDOW)
        For those with ``reads``.
    term : Out(TERM)
        For those with ``averages``.
    residual : Out(RESIDUAL)
        For those with ``adds``, like the constants from ``operands`` to ``sum_clamp``.
    zero_point : Out(ZERO_POINT)
    clamp : Out(CLAMP)
    operands : Out(OPERANDS)
    factors : Out(FACTORS)
    ratio_b : Out(RATIO_B)
    add_offset : Out(ADD_OFFSET)
    ratio_a : Out(RATIO_A)
    sum_offset : Out(SUM_OFFSET)
    sum_clamp : Out(SUM_CLAMP)
    """

    def __init__(self, optional: type[Drain] | None = None) -> None:
        self.drains = (Drain.OPCODE,) if optional is None else (Drain.OPCODE, optional.OPCODE)
        super().__init__({
            "instruction": In(INSTRUCTION), "checks": Out(CHECKS), "reads": Out(1), "averages": Out(1),
            "adds": Out(1), "work": Out(WORK), "region": Out(REGION), "window": Out(WINDOW), "term": Out(TERM),
            "residual": Out(RESIDUAL), "zero_point": Out(ZERO_POINT), "clamp": Out(CLAMP), "operands": Out(OPERANDS),
            "factors": Out(FACTORS), "ratio_b": Out(RATIO_B), "add_offset": Out(ADD_OFFSET), "ratio_a": Out(RATIO_A),
            "sum_offset": Out(SUM_OFFSET), "sum_clamp": Out(SUM_CLAMP),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        drain, elementwise, pool = (data.View(instruction_layout(cls), self.instruction)
                                    for cls in (Drain, Elementwise, Pool))
        is_pool, is_elementwise = drain.opcode == Pool.OPCODE, drain.opcode == Elementwise.OPCODE
        kinds = [_ORIGINS.get(kind, Origin.BYTES) for kind in range(4)]
        origin = Mux(is_pool, choose(pool.kind, kinds), Mux(is_elementwise, Origin.BYTES, Origin.ACCUMULATOR))
        m.d.comb += [
            self.work.origin.eq(origin), self.window.origin.eq(origin), self.work.add.eq(drain.add & ~is_pool),
            self.reads.eq(is_pool | is_elementwise), self.averages.eq(is_pool & (pool.kind == PoolKind.AVERAGE)),
            self.adds.eq(self.work.add),
        ]
        self._common(m, drain, is_elementwise | (is_pool & (pool.kind != PoolKind.SUM)))
        self._window(m, elementwise, pool, is_pool)
        m.d.comb += [self.term[name].eq(pool[name]) for name in TERM.members]
        m.d.comb += self.checks.eq(Cat(
            drain.height.any() & drain.width.any(), drain.low <= drain.high, ~self.adds | (drain.add_low <= drain.add_high),
            ~self.adds | ~drain.multiply | self._sane_product(drain), Mux(is_pool, self._sane_pool(pool), Mux(
                is_elementwise, ~elementwise.reserved.any(), self._drains(drain) & ~drain.reserved.any()))))
        return m

    def _drains(self, drain: data.View) -> Value:
        first, *others = (drain.opcode == opcode for opcode in self.drains)
        return Cat(first, *others).any() if others else first

    @staticmethod
    def _sane_product(drain: data.View) -> Value:
        ranges = Cat((offset >= PRODUCT_OFFSETS[0]) & (offset <= PRODUCT_OFFSETS[1])
                     for offset in (drain.a_offset, drain.b_offset)).all()
        return ranges & ~drain.ratio_b[ADD_FRACTION:].any() & ~drain.add_offset.any()

    @staticmethod
    def _sane_pool(pool: data.View) -> Value:
        return (~pool.reserved.any() & pool.taps_y.any() & pool.taps_x.any()
                & Cat(pool.kind == kind for kind in PoolKind).any())

    def _common(self, m: Module, drain: data.View, bytes_only: Value) -> None:
        """Fields at the same place in all three instructions, and those of a residual, which are meaningful with
        ``adds``."""
        for record in (self.work, self.window, self.region, self.residual.region):
            m.d.comb += [record.height.eq(drain.height), record.width.eq(drain.width)]
        for name in ("lookup_table", "release_lookup_table", "release_parameters"):
            m.d.comb += self.work[name].eq(drain[name])
        for record in SETTINGS:
            for name in SETTINGS[record].members:
                value = Mux(bytes_only, 0, drain[name]) if name == "zero_point" else drain[name]
                m.d.comb += getattr(self, record)[name].eq(value)
        m.d.comb += [
            self.region.start.eq(drain.destination), self.region.pitch.eq(drain.destination_pitch),
            self.residual.region.start.eq(drain.residual), self.residual.region.pitch.eq(drain.residual_pitch),
            self.residual.drains.eq(self._drains(drain)),
        ]

    def _window(self, m: Module, elementwise: data.View, pool: data.View, is_pool: Value) -> None:
        of_elementwise = {
            "source": elementwise.source, "row_pitch": elementwise.source_pitch, "source_height": elementwise.height,
            "source_width": elementwise.width, "origin_y": C(0), "origin_x": C(0)}
        for name in (name for name in WINDOW.members if name not in ("origin", "height", "width")):
            m.d.comb += self.window[name].eq(Mux(is_pool, pool[name], of_elementwise.get(name, C(1))))
