"""The simulated system: the same interconnect and controller as on a board, with models at its edges.

The host is connected by a stream of bytes instead of the UART's bits. The memory is LiteDRAM's controller with a
model of SDRAM, or the memory model of the plain RTL simulation directly at the accelerator: with the latter,
every counter must equal that of a run without the system.
"""

from pathlib import Path

from litedram.common import PhySettings, get_default_cl_cwl, get_sys_latency, get_sys_phase
from litedram.modules import MT41K256M16, MT48LC16M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import GenericPlatform
from litex.build.sim import common
from litex.gen import ClockDomain, LiteXModule, Signal
from litex.gen.fhdl.verilog import convert
from litex.soc.cores.uart import Stream2Wishbone
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect import wishbone

from arrayloom.host.board.core import AcceleratorCore
from arrayloom.host.board.memories import PLAIN_MEMORY_BYTES, SimulatedMemory
from arrayloom.host.board.system import add_accelerator, connect_dram, describe
from arrayloom.host.runtime.board.description import MEMORY
from arrayloom.isa.config import Config

CLOCK_HZ = 50_000_000
DATA_BITS = 16          # of either memory chip
TOP = "top"


class SimulatedSystem(SoCCore):
    """The system around the accelerator of ``config``, whose files are written into ``folder``.

    Attributes
    ----------
    description
        The system's description of itself.
    pins
        Signals that the harness drives and reads.
    """

    def __init__(self, config: Config, memory: SimulatedMemory, folder: Path) -> None:
        self.crg = _Clock()
        self.pins = [self.crg.cd_sys.clk, self.crg.cd_sys.rst]
        super().__init__(GenericPlatform("SIM", [], name=TOP), CLOCK_HZ, ident="", cpu_type=None, with_uart=False,
                         with_timer=False, integrated_rom_size=0, integrated_sram_size=0)
        self._add_host()
        core = add_accelerator(self, config, folder)
        if memory is SimulatedMemory.PLAIN:
            self._add_plain_memory(core)
        else:
            self._add_dram(core, memory)
        running = Signal(name="running")
        self.comb += running.eq(core.running)
        self.pins.append(running)
        self.description = describe(self, core, f"the simulated system with {memory} memory")

    def write(self, folder: Path) -> list[Path]:
        """Writes the system's Verilog and the content of its ROM into ``folder``; returns the Verilog files."""
        made = convert(self, ios=set(self.pins), name=TOP, platform=self.platform,
                       special_overrides=dict(common.sim_special_overrides))
        (folder / f"{TOP}.v").write_text(made.main_source)
        for name, content in made.data_files.items():
            (folder / name).write_text(content)
        return [folder / f"{TOP}.v", *(Path(source[0]) for source in self.platform.sources)]

    def _add_host(self) -> None:
        """The bridge of a UART's bytes, without the UART."""
        self.host = bridge = Stream2Wishbone(clk_freq=CLOCK_HZ)
        self.bus.add_master(name="host", master=bridge.wishbone)
        for name, endpoint in (("sink", bridge.sink), ("source", bridge.source)):
            for part in ("valid", "ready", "data"):
                self._pin(f"host_{name}_{part}", getattr(endpoint, part), (name == "sink") != (part == "ready"))

    def _add_dram(self, core: AcceleratorCore, memory: SimulatedMemory) -> None:
        if memory is SimulatedMemory.SDRAM:
            module = MT48LC16M16(CLOCK_HZ, "1:1")
            self.sdrphy = SDRAMPHYModel(module, data_width=DATA_BITS, clk_freq=CLOCK_HZ)
        else:
            module = _SmallDdr3(CLOCK_HZ, "1:2")
            self.sdrphy = SDRAMPHYModel(module, _ddr3_settings(), clk_freq=CLOCK_HZ)
        self.add_sdram("sdram", phy=self.sdrphy, module=module, l2_cache_size=0)
        connect_dram(self, core)

    def _add_plain_memory(self, core: AcceleratorCore) -> None:
        """Connects the accelerator's AXI and the bus's memory words to the harness, which has one memory for both."""
        bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
        self.bus.add_slave("main_ram", bus, SoCRegion(origin=MEMORY, size=PLAIN_MEMORY_BYTES))
        for name in ("adr", "dat_w", "sel", "cyc", "stb", "we"):
            self._pin(f"memory_{name}", getattr(bus, name), False)
        for name in ("dat_r", "ack"):
            self._pin(f"memory_{name}", getattr(bus, name), True)
        for port in core.ports:
            if port["name"].startswith("axi__"):
                self._pin(port["name"], core.signal(port["name"]), port["direction"] == "in")

    def _pin(self, name: str, signal: Signal, driven: bool) -> None:
        """Adds a top-level pin for ``signal``; the harness drives it if ``driven``."""
        pin = Signal(len(signal), name=name)
        self.comb += signal.eq(pin) if driven else pin.eq(signal)
        self.pins.append(pin)


class _SmallDdr3(MT41K256M16):
    """The chip of the ECPIX-5 with fewer rows, so that its model takes less of this machine's memory."""

    nrows = 2048


def _ddr3_settings() -> PhySettings:
    """The settings of LiteDRAM's PHY for the ECP5, without leveling, which a model does not need."""
    phases = 2
    cl, cwl = get_default_cl_cwl("DDR3", 1 / (phases * CLOCK_HZ))
    latency, write_latency = get_sys_latency(phases, cl), get_sys_latency(phases, cwl)
    return PhySettings(
        phytype="ECP5DDRPHY", memtype="DDR3", databits=DATA_BITS, dfi_databits=4 * DATA_BITS, nranks=1, nphases=phases,
        rdphase=get_sys_phase(phases, latency, cl), wrphase=get_sys_phase(phases, write_latency, cwl), cl=cl, cwl=cwl,
        read_latency=latency + 10, write_latency=write_latency)


class _Clock(LiteXModule):
    """Clock and reset directly from pins."""

    def __init__(self) -> None:
        self.cd_sys = ClockDomain("sys")
