"""The whole accelerator: wiring only."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, ResetInserter, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.array.unit import ArrayUnit
from arrayloom.hdl.attention import AttentionUnit
from arrayloom.hdl.axi import Bus
from arrayloom.hdl.axi_lite import AxiLiteSlave
from arrayloom.hdl.control import Control
from arrayloom.hdl.depthwise import DepthwiseUnit, SumsChoice
from arrayloom.hdl.fetch import Fetch
from arrayloom.hdl.fill_order import FillOrder
from arrayloom.hdl.interfaces import (
    axi_lite_signature,
    axi_signature,
    events_signature,
    instruction_layout,
    trace_signature,
)
from arrayloom.hdl.issue import Issue
from arrayloom.hdl.load import Load
from arrayloom.hdl.post.records import IN_FLIGHT
from arrayloom.hdl.post.unit import Post
from arrayloom.hdl.scratchpad import Scratchpad
from arrayloom.hdl.store import Store
from arrayloom.hdl.weight_fifo import WeightFifo
from arrayloom.hdl.windows import Windows
from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.fills import FILLS


class Accelerator(Component):
    """A standalone core: memory over AXI4, control over AXI4-Lite, an interrupt at the end of a run.

    Parameters
    ----------
    config : Config

    Members
    -------
    axi : Out(axi_signature(config))
        Memory; the bus is one word wide.
    axil : Out(axi_lite_signature())
        The registers of ``arrayloom.isa.registers``.
    irq : Out(1)
        A run has ended, and interrupts are enabled.
    core_reset : In(1)
        Resets everything except the bus interfaces, at any time: outstanding bursts are completed, read words are dropped,
        and lost write words are replaced by words without byte strobes. ``rst`` also resets the interfaces; use it only
        together with the interconnect, which would otherwise wait for words or answer requests that no longer exist.
    trace : Out(trace_signature(config))
        Every word written by the POST unit.
    events : Out(events_signature())
        The activity of every unit in every cycle.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "axi": Out(axi_signature(config)),
            "axil": Out(axi_lite_signature()),
            "irq": Out(1),
            "core_reset": In(1),
            "trace": Out(trace_signature(config)),
            "events": Out(events_signature()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self.config
        self.slave, self.control, self.bus, self.memory = AxiLiteSlave(), Control(config), Bus(config), Scratchpad(config)
        self.fetch, self.weights, self.windows = Fetch(config), WeightFifo(config), Windows(config)
        self.units: dict[Unit, Component] = {Unit.LOAD: Load(config), Unit.ARRAY: ArrayUnit(config), Unit.POST: Post(config),
                      Unit.STORE: Store(config)}
        if Unit.DEPTHWISE in config.units:
            self.units[Unit.DEPTHWISE] = DepthwiseUnit(config)
        if Unit.ATTENTION in config.units:
            self.units[Unit.ATTENTION] = AttentionUnit(config)
        self.issues = {unit: Issue(config, unit) for unit in config.units}
        self._place(m)
        self._wire_outside(m)
        self._wire_bus(m)
        self._wire_queues(m)
        self._wire_tokens(m)
        self._wire_memories(m)
        return m

    def _place(self, m: Module) -> None:
        """A new run resets everything except the registers and the bus, whose bursts must end; ``core_reset`` also resets
        these."""
        m.submodules.bus, m.submodules.slave = self.bus, self.slave
        whole = ResetInserter(self.core_reset)
        m.submodules.control, m.submodules.memory, m.submodules.windows = (
            whole(self.control), whole(self.memory), whole(self.windows))
        m.d.comb += [self.bus.abandoned.eq(self.core_reset), self.bus.clear.eq(self.control.resets[Unit.STORE])]
        reset = ResetInserter(self.control.clear | self.core_reset)
        m.submodules.fetch, m.submodules.weights = reset(self.fetch), reset(self.weights)
        for unit in self.config.units:
            reset = ResetInserter(self.control.resets[unit] | self.core_reset)
            m.submodules[unit.name.lower()] = reset(self.units[unit])
            m.submodules[f"{unit.name.lower()}_issue"] = reset(self.issues[unit])

    def _wire_outside(self, m: Module) -> None:
        connect(m, self.bus.axi, flipped(self.axi))
        connect(m, self.slave.axi, flipped(self.axil))
        connect(m, self.slave.port, self.control.port)
        connect(m, self.units[Unit.POST].trace, flipped(self.trace))
        connect(m, self.control.events, flipped(self.events))
        m.d.comb += self.irq.eq(self.control.irq)

    def _wire_bus(self, m: Module) -> None:
        load, store = self.units[Unit.LOAD], self.units[Unit.STORE]
        connect(m, self.fetch.bus, self.bus.fetch)
        connect(m, load.bus, self.bus.load)
        connect(m, store.bus, self.bus.store)
        connect(m, self.bus.status, self.control.bus)
        connect(m, self.fetch.control, self.control.fetch)
        connect(m, self.windows.load, load.window)
        connect(m, self.windows.store, store.window)
        m.d.comb += [getattr(self.windows, name).eq(getattr(self.control, name))
                     for name in ("base", "limit", "write_base", "write_limit")]
        m.d.comb += [getattr(self.fetch, name).eq(getattr(self.control, name)) for name in ("program", "base", "limit")]
        m.d.comb += [
            load.base.eq(self.control.base), store.base.eq(self.control.base),
            self.control.load_outside.eq(load.outside), self.control.store_outside.eq(store.outside),
            self.control.load_address.eq(load.outside_address), self.control.store_address.eq(store.outside_address),
            self.control.load_error.eq(load.bus_error), self.control.store_error.eq(store.bus_error),
        ]

    def _wire_queues(self, m: Module) -> None:
        for unit, issue in self.issues.items():
            connect(m, self.fetch.queues[unit], issue.push)
            connect(m, issue.unit, self.units[unit].unit)
            connect(m, issue.status, self.control.units[unit])
            m.d.comb += issue.halt.eq(self.control.halt)
        idle = [issue.status.idle for issue in self.issues.values()]
        m.d.comb += self.fetch.idle.eq(Cat(idle, self.bus.status.quiet).all())

    def _wire_tokens(self, m: Module) -> None:
        for consumer, issue in self.issues.items():
            given = (self.issues[Unit(slot)].signal[consumer] if slot in self.config.units else Const(0, 1)
                     for slot in range(self.config.unit_slots))
            m.d.comb += issue.give.eq(Cat(given))

    def _wire_memories(self, m: Module) -> None:
        load, array, post, store = (self.units[unit] for unit in CORE_UNITS)
        memory = self.memory
        connect(m, array.read, memory.array)
        connect(m, post.read, memory.post)
        connect(m, store.read, memory.store)
        connect(m, post.write, memory.post_write)
        connect(m, load.write, memory.load)
        connect(m, load.weights, self.weights.sink)
        connect(m, self.weights.read, array.weights)
        connect(m, load.parameters, post.parameters)
        connect(m, load.tables, post.tables)
        left = [self.weights.held, array.data_left, post.data_left]
        if self.config.has_sums:
            left.append(self._wire_sums(m))
        else:
            connect(m, post.accumulator, array.accumulator)
        levels = self.control.levels
        m.d.comb += [
            levels.weights.eq(self.weights.held), levels.parameters.eq(post.parameters_held),
            levels.tables.eq(post.tables_held), levels.used.eq(array.used), levels.full.eq(array.full),
            self.control.data_left.eq(Cat(left).any()),
        ]

    def _wire_sums(self, m: Module) -> Value:
        """The second unit that fills banks of sums; returns whether some are left in it."""
        unit = Unit.ATTENTION if self.config.attention_lanes else Unit.DEPTHWISE
        optional, array, post = self.units[unit], self.units[Unit.ARRAY], self.units[Unit.POST]
        choice = SumsChoice(self.config, IN_FLIGHT)
        m.submodules.sums_choice = ResetInserter(self.control.resets[Unit.POST] | self.core_reset)(choice)
        if unit is Unit.ATTENTION:
            connect(m, optional.read, self.memory.attention)
            connect(m, optional.write, self.memory.attention_write)
            connect(m, optional.feed, self.weights.feed)
            self._wire_fills(m)
        else:
            connect(m, optional.read, self.memory.depthwise)
        connect(m, post.accumulator, choice.post)
        connect(m, choice.array, array.accumulator)
        connect(m, choice.depthwise, optional.sums)
        levels = self.control.levels
        m.d.comb += [
            choice.drains.eq(post.drains), choice.of_depthwise.eq(post.of_optional),
            levels.optional_used.eq(optional.used), levels.optional_full.eq(optional.full),
        ]
        return optional.used

    def _wire_fills(self, m: Module) -> None:
        """What checks the order in which LOAD and the ATTENTION unit fill the weight FIFO."""
        order = FillOrder(self.config)
        m.submodules.fill_order = ResetInserter(self.control.resets[Unit.ATTENTION] | self.core_reset)(order)
        for cls, filler in zip(FILLS, order.fillers, strict=True):
            unit = cls.UNIT
            assert unit is not None
            push, taken, issue = self.fetch.queues[unit], self.units[unit].unit, self.issues[unit]
            opcodes = [data.View(instruction_layout(Instruction), stream.payload).opcode
                       for stream in (push, taken.instruction)]
            m.d.comb += [
                filler.pushed.eq(push.valid & push.ready & (opcodes[0] == cls.OPCODE)),
                filler.accepted.eq(taken.instruction.valid & taken.instruction.ready),
                filler.fills.eq(opcodes[1] == cls.OPCODE), filler.retired.eq(taken.retired),
                issue.unordered.eq(filler.unordered),
            ]
