"""A wrapper with few pins, so that a whole accelerator fits any package."""

from collections.abc import Iterator
from typing import Any

from amaranth import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.top import Accelerator
from arrayloom.isa.config import Config

CONNECTED = ("axi", "axil", "irq")
"""The ports that a board connects; the others are for simulation and stay open."""


class SerialPins(Component):  # type: ignore[misc]  # Amaranth has no types
    """The accelerator between two shift registers, so that no part of it can be optimized away.

    Bus inputs, bus outputs and pins are registered, so the critical path is inside the
    accelerator. Pins take effect two cycles after they change.

    Members
    -------
    clk, rst : In(1)
    serial_in : In(1)
        The next bit of the input frame while ``shift`` is high; the first bit becomes the lowest.
    shift, load, capture : In(1)
        ``shift`` shifts both frames by one bit; ``load`` applies the input frame to the accelerator until the next
        ``load``; ``capture`` copies the accelerator's outputs to the output frame.
    serial_out : Out(1)
        The lowest bit of the output frame.
    """

    def __init__(self, config: Config) -> None:
        self.accelerator = Accelerator(config)
        super().__init__({
            "clk": In(1), "rst": In(1),
            "serial_in": In(1), "shift": In(1), "load": In(1), "capture": In(1), "serial_out": Out(1),
        })

    @property
    def inputs(self) -> dict[str, Value]:
        """The accelerator's inputs by name, in the order of the frame."""
        return dict(self._ports(In))

    @property
    def outputs(self) -> dict[str, Value]:
        """The accelerator's outputs by name, in the order of the frame."""
        return dict(self._ports(Out))

    def _ports(self, flow: Any) -> Iterator[tuple[str, Value]]:
        for path, member, value in self.accelerator.signature.flatten(self.accelerator):
            if path[0] in CONNECTED and member.flow == flow:
                yield "__".join(str(part) for part in path), Value.cast(value)

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        reset = Signal(2)
        pins = {name: Signal(name=f"{name}_pin") for name in ("serial_in", "shift", "load", "capture")}
        m.domains.pins = ClockDomain(reset_less=True)
        m.d.comb += [ClockSignal("sync").eq(self.clk), ClockSignal("pins").eq(self.clk), ResetSignal("sync").eq(reset[1])]
        m.d.pins += [reset.eq(Cat(self.rst, reset))]
        m.d.sync += [register.eq(getattr(self, name)) for name, register in pins.items()]
        m.submodules.accelerator = self.accelerator
        self._inputs(m, pins)
        self._outputs(m, pins)
        return m

    def _inputs(self, m: Module, pins: dict[str, Signal]) -> None:
        inputs = Cat(self.inputs.values())
        frame, held = Signal(len(inputs), name="frame_in", reset_less=True), Signal(len(inputs), name="held")
        m.d.comb += inputs.eq(held)
        with m.If(pins["shift"]):
            m.d.sync += frame.eq(Cat(frame[1:], pins["serial_in"]))
        with m.If(pins["load"]):
            m.d.sync += held.eq(frame)

    def _outputs(self, m: Module, pins: dict[str, Signal]) -> None:
        outputs = Cat(self.outputs.values())
        seen, frame = (Signal(len(outputs), name=name, reset_less=True) for name in ("seen", "frame_out"))
        m.d.sync += [seen.eq(outputs), self.serial_out.eq(frame[0])]
        with m.If(pins["capture"]):
            m.d.sync += frame.eq(seen)
        with m.Elif(pins["shift"]):
            m.d.sync += frame.eq(frame[1:])
