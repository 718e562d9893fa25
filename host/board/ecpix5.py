"""The system for the ECPIX-5: 512 MiB of DDR3, and the host at Gigabit Ethernet by Etherbone."""

from pathlib import Path

from litedram.modules import MT41K256M16
from litedram.phy import ECP5DDRPHY
from liteeth.phy.ecp5rgmii import LiteEthPHYRGMII
from litex.soc.integration.soc_core import SoCCore
from litex_boards.platforms import lambdaconcept_ecpix5
from litex_boards.targets import lambdaconcept_ecpix5 as target

from arrayloom.host.board.system import add_accelerator, connect_dram, describe
from arrayloom.isa.config import Config

ADDRESS = "192.168.1.50"
RECEIVE_DELAY = 0e-9        # the PHY itself delays its clock


class Ecpix5System(SoCCore):
    """The system around the accelerator of ``config``, whose files are written into ``folder``.

    Attributes
    ----------
    description
        The system's description of itself.
    """

    def __init__(self, config: Config, chip: str, clock_hz: float, folder: Path) -> None:
        platform = lambdaconcept_ecpix5.Platform(device=chip, toolchain="trellis")
        # LiteX has no public name for a board's clock generator
        self.crg = target._CRG(platform, clock_hz)
        super().__init__(platform, clock_hz, ident="", cpu_type=None, with_uart=False, with_timer=False,
                         integrated_rom_size=0, integrated_sram_size=0)
        self.ethphy = LiteEthPHYRGMII(clock_pads=platform.request("eth_clocks"), pads=platform.request("eth"),
                                      rx_delay=RECEIVE_DELAY)
        self.add_etherbone(phy=self.ethphy, ip_address=ADDRESS)
        core = add_accelerator(self, config, folder)
        self.ddrphy = ECP5DDRPHY(platform.request("ddram"), sys_clk_freq=clock_hz)
        self.comb += [self.crg.stop.eq(self.ddrphy.init.stop), self.crg.reset.eq(self.ddrphy.init.reset)]
        self.add_sdram("sdram", phy=self.ddrphy, module=MT41K256M16(clock_hz, "1:2"), l2_cache_size=0)
        connect_dram(self, core)
        self.description = describe(self, core, "the ECPIX-5")
