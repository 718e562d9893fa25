"""The accelerator as a LiteX module: the Verilog of ``arrayloom verilog``, with LiteX's interfaces."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litex.gen import ClockSignal, Instance, LiteXModule, ResetSignal, Signal
from litex.soc.interconnect import axi
from litex.soc.interconnect.csr import CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel

from arrayloom.host.runtime.export import export_verilog
from arrayloom.isa.config import Config

CHANNELS = ("aw", "ar", "w", "r", "b")      # in this order: prefixes of port names
BUS_ADDRESS_BITS = 32
PLAIN = {"clk": ClockSignal, "rst": ResetSignal}
SIMULATION_ONLY = ("trace__", "events__")


class AcceleratorCore(LiteXModule):
    """The accelerator of ``config``, whose files are written into ``folder``.

    Attributes
    ----------
    memory : AXIInterface
        The master, one word wide.
    control : AXILiteInterface
        The slave with the registers.
    core_reset : CSRStorage
        Resets everything except the bus interfaces.
    ev : EventManager
        The interrupt: its level is readable, and with a CPU it is one of its interrupts.
    running : Signal
        The accelerator is busy with a run.
    """

    def __init__(self, config: Config, folder: Path, platform: Any) -> None:
        verilog, sidecar, *_ = export_verilog(config, folder)
        self.config = config
        self.ports: list[dict[str, Any]] = json.loads(sidecar.read_text())["ports"]
        widths = {port["name"]: port["width"] for port in self.ports}
        self.memory = axi.AXIInterface(data_width=widths["axi__rdata"], address_width=widths["axi__araddr"],
                                       id_width=widths["axi__arid"])
        self.control = axi.AXILiteInterface(data_width=widths["axil__rdata"], address_width=BUS_ADDRESS_BITS)
        self.core_reset = CSRStorage(description="Bit 0 resets all of the accelerator except its bus interfaces.")
        self.running = Signal()
        self.ev = EventManager()
        self.ev.done = EventSourceLevel(description="A run has ended.")
        self.ev.finalize()
        self.specials += Instance("arrayloom", **dict(self._connections()))
        platform.add_source(str(verilog))

    def _connections(self) -> Iterator[tuple[str, Any]]:
        for port in self.ports:
            name, prefix = port["name"], "o" if port["direction"] == "out" else "i"
            if name.startswith(SIMULATION_ONLY) and name != "events__running":
                continue
            signal = self.signal(name)
            yield f"{prefix}_{name}", signal if len(signal) == port["width"] else signal[:port["width"]]

    def signal(self, name: str) -> Any:
        """The signal connected to the port of that name."""
        named = {"irq": self.ev.done.trigger, "core_reset": self.core_reset.storage, "events__running": self.running}
        if name in PLAIN:
            return PLAIN[name]("sys")
        if name in named:
            return named[name]
        bus, _, rest = name.partition("__")
        channel = next(channel for channel in CHANNELS if rest.startswith(channel))
        return getattr(getattr({"axi": self.memory, "axil": self.control}[bus], channel), rest.removeprefix(channel))
