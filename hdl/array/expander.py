"""Expands plans to steps: the loops over channel blocks, tap rows, tap columns and repeats."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.array.signatures import plan_layout, step_layout
from arrayloom.isa.config import Config

LOOPS = ("repeats", "taps_x", "taps_y", "blocks")   # innermost first


class Expander(Component):
    """Offers one step after the other; positions are running sums, so there is no multiplier.

    The loop ends are computed in the cycle before a step is offered, so that no path leads through a counter to
    everything that a step starts. A step is therefore offered three cycles after the previous one is taken, and the
    first step of an instruction before it can be used.

    Parameters
    ----------
    config : Config

    Members
    -------
    plan : In(stream.Signature(plan_layout()))
        Legal instructions.
    step : Out(stream.Signature(step_layout(config)))
        Passes of a region through a tile.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "plan": In(stream.Signature(plan_layout(bool(config.attention_lanes)))),
            "step": Out(stream.Signature(step_layout(config))),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan = Signal(plan_layout(bool(self.config.attention_lanes)), reset_less=True)
        holds, settled, counting = (Signal(name=name) for name in ("holds", "settled", "counting"))
        counters = {name: Signal.like(getattr(plan, name), name=name, reset_less=True) for name in LOOPS}
        wraps = {name: Signal(name=f"{name}_wraps", reset_less=True) for name in LOOPS}
        fresh = Signal(reset_less=True)
        final = Cat(wraps.values()).all()
        taken = Signal()
        m.d.comb += [
            self.step.valid.eq(holds & settled),
            taken.eq(self.step.valid & self.step.ready),
            self.plan.ready.eq(~holds),
        ]
        with m.If(self.plan.valid & self.plan.ready):
            m.d.sync += [plan.eq(self.plan.payload), holds.eq(1), settled.eq(0), counting.eq(0)]
            m.d.sync += [counter.eq(0) for counter in counters.values()]
        with m.Elif(counting):
            m.d.sync += counting.eq(0)
            self._count(m, counters, wraps)
        with m.Elif(taken):
            m.d.sync += [holds.eq(~final), settled.eq(0), counting.eq(1)]
        with m.Elif(~settled):
            m.d.sync += settled.eq(1)
            m.d.sync += [wraps[name].eq(counters[name] + 1 == getattr(plan, name)) for name in LOOPS]
            m.d.sync += fresh.eq(plan.first & ~Cat(counters.values()).any())
        position = self._position(m, plan, wraps, counting)
        shared = {name: getattr(plan, name) for name in self._shared()}
        for name, value in {**shared, **position, "fresh": fresh, "final": final}.items():
            m.d.comb += getattr(self.step.payload, name).eq(value)
        return m

    def _shared(self) -> list[str]:
        planned = {name for name, _ in plan_layout(bool(self.config.attention_lanes))}
        return [name for name, _ in step_layout(self.config) if name in planned and name != "address"]

    @staticmethod
    def _count(m: Module, counters: dict[str, Signal], wraps: dict[str, Signal]) -> None:
        inner = 1
        for name in LOOPS:
            with m.If(inner):
                m.d.sync += counters[name].eq(counters[name] + 1)
                with m.If(wraps[name]):
                    m.d.sync += counters[name].eq(0)
            inner = inner & wraps[name]

    def _position(self, m: Module, plan: data.View, wraps: dict[str, Signal], counting: Value) -> dict[str, Value]:
        """Source position of the step: of the tap, and of the start of its tap row and of its block."""
        step = self.step.payload
        y = Signal.like(step.y, reset_less=True)
        x = Signal.like(step.x, reset_less=True)
        tap = Signal.like(step.address, reset_less=True)
        row = Signal.like(step.address, reset_less=True)
        block = Signal.like(step.address, reset_less=True)
        with m.If(self.plan.valid & self.plan.ready):
            new = self.plan.payload
            m.d.sync += [y.eq(new.origin_y), x.eq(new.origin_x)]
            m.d.sync += [signal.eq(new.address) for signal in (tap, row, block)]
        with m.Elif(counting & wraps["repeats"]):
            with m.If(~wraps["taps_x"]):
                m.d.sync += [x.eq(x + plan.dilation_x), tap.eq(tap + plan.dilation_x)]
            with m.Elif(~wraps["taps_y"]):
                m.d.sync += [x.eq(plan.origin_x), y.eq(y + plan.dilation_y)]
                m.d.sync += [signal.eq(row + plan.tap_step) for signal in (tap, row)]
            with m.Else():
                m.d.sync += [x.eq(plan.origin_x), y.eq(plan.origin_y)]
                m.d.sync += [signal.eq(block + plan.plane_pitch) for signal in (tap, row, block)]
        return {"y": y, "x": x, "address": tap}
