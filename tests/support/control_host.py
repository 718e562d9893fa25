"""A host of a control unit: a bus master for its registers that also simulates the rest of the accelerator."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from arrayloom.hdl.axi_lite import AxiLiteSlave
from arrayloom.hdl.control import Control
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.registers import Cause, Register, StatusWord, blocks_of
from arrayloom.isa.registers import Control as ControlBit

START, RESET = 1 << ControlBit.START, 1 << ControlBit.RESET
REFUSED = 2

Script = Callable[["Host"], Awaitable[None]]


class Host:
    """A master on the AXI4-Lite port of a control unit, which also drives all signals from the rest of the accelerator."""

    def __init__(self, bench: Any, stall: float = 0.0, control: type[Control] = Control) -> None:
        self.bench = bench
        self.config = bench.config()
        self.control, self.slave = control(self.config), AxiLiteSlave()
        self.axi = self.slave.axi
        self.design = Module()
        self.design.submodules += [self.control, self.slave]
        connect(self.design, self.slave.port, self.control.port)
        self.rng, self.stall = random.Random(11), stall
        self.ctx: Any = None
        self.refused = False
        self.answered = 0
        self.resets: list[Any] = []     # signals that ``clear`` sets to zero
        self.pulses: dict[str, int] = {"start": 0, "clear": 0}
        self.counted = {block: [0] * len(Cause) for block in blocks_of(CORE_UNITS)}

    def run(self, script: Script) -> None:
        finished = []

        async def play(ctx: Any) -> None:
            self.ctx = ctx
            ctx.set(self.control.bus.quiet, 1)
            for unit in self.control.units:
                ctx.set(unit.idle, 1)
            await script(self)
            finished.append(True)

        async def watch(ctx: Any) -> None:
            cleared = False
            while True:
                *_, start, clear, running, load, array, post, store, fetch = await ctx.tick().sample(
                    self.control.fetch.start, self.control.clear, self.control.events.running, *self.causes())
                for counters, cause in zip(self.counted.values(), (load, array, post, store, fetch), strict=True):
                    counters[cause] += running
                for signal in self.resets if clear else ():
                    ctx.set(signal, 0)
                self.pulses["start"] += start
                self.pulses["clear"] += clear and not cleared
                cleared = clear

        self.bench.run(self.design, [play, watch], lambda: bool(finished))

    def causes(self) -> list[Any]:
        return [*(unit.cause for unit in self.control.units), self.control.fetch.cause]

    async def hesitate(self) -> None:
        while self.rng.random() < self.stall:
            await self.ctx.tick()

    async def handshake(self, ready: Any) -> None:
        done = False
        while not done:
            *_, done = await self.ctx.tick().sample(ready)

    async def write(self, address: int, value: int, strobe: int = 15) -> None:
        """Sends address and data in any order; records whether the write was refused."""
        axi, ctx = self.axi, self.ctx
        channels = [(axi.awvalid, axi.awready, [(axi.awaddr, address)]),
                    (axi.wvalid, axi.wready, [(axi.wdata, value), (axi.wstrb, strobe)])]
        self.rng.shuffle(channels)
        for valid, ready, payload in channels:
            await self.hesitate()
            for signal, number in payload:
                ctx.set(signal, number)
            ctx.set(valid, 1)
            await self.handshake(ready)
            ctx.set(valid, 0)
        await self.hesitate()
        self.refused = await self.answer(axi.bready, axi.bvalid, axi.bresp) == REFUSED

    async def read(self, address: int) -> int:
        axi, ctx = self.axi, self.ctx
        await self.hesitate()
        ctx.set(axi.araddr, address)
        ctx.set(axi.arvalid, 1)
        await self.handshake(axi.arready)
        ctx.set(axi.arvalid, 0)
        await self.hesitate()
        self.refused = await self.answer(axi.rready, axi.rvalid, axi.rresp) == REFUSED
        return self.answered

    async def answer(self, ready: Any, valid: Any, response: Any) -> int:
        self.ctx.set(ready, 1)
        there, code = False, 0
        while not there:
            *_, there, code, self.answered = await self.ctx.tick().sample(valid, response, self.axi.rdata)
        self.ctx.set(ready, 0)
        return code

    async def read_wide(self, address: int) -> int:
        return await self.read(address) | await self.read(address + 4) << 32

    async def status(self) -> StatusWord:
        return StatusWord.decode(await self.read(Register.STATUS))

    async def pulse(self, signal: Any) -> None:
        self.ctx.set(signal, 1)
        await self.ctx.tick()
        self.ctx.set(signal, 0)

    async def wait(self, cycles: int) -> None:
        await self.ctx.tick().repeat(cycles)


def scripted(**options: Any) -> Callable[[Script], Callable[[Any], None]]:
    """A test that runs a script of a host."""
    def make(script: Script) -> Callable[[Any], None]:
        def test(bench: Any) -> None:
            Host(bench, **options).run(script)
        return test
    return make


async def begin(host: Host) -> None:
    await host.write(Register.CONTROL, START)
    await host.wait(5 + len(CORE_UNITS))
