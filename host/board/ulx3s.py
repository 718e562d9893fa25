"""The system for the ULX3S: 32 MiB of SDRAM, and the host at the UART of its USB port."""

from pathlib import Path

from litedram.modules import MT48LC16M16
from litedram.phy import GENSDRPHY
from litex.soc.integration.soc_core import SoCCore
from litex_boards.platforms import radiona_ulx3s
from litex_boards.targets import radiona_ulx3s as target

from arrayloom.host.board.system import add_accelerator, connect_dram, describe
from arrayloom.host.runtime.board.links import BAUD
from arrayloom.isa.config import Config

REVISION = "2.0"


class Ulx3sSystem(SoCCore):
    """The system around the accelerator of ``config``, whose files are written into ``folder``.

    The memory's geometry and timing are those of the smallest chip used on the board, which suit the others too.

    Attributes
    ----------
    description
        The system's description of itself.
    """

    def __init__(self, config: Config, chip: str, clock_hz: float, folder: Path) -> None:
        platform = radiona_ulx3s.Platform(device=f"LFE5U-{chip}", revision=REVISION, toolchain="trellis")
        # LiteX has no public name for a board's clock generator
        self.crg = target._CRG(platform, clock_hz)
        super().__init__(platform, clock_hz, ident="", cpu_type=None, with_uart=False, with_timer=False,
                         integrated_rom_size=0, integrated_sram_size=0)
        self.add_uartbone(baudrate=BAUD)
        core = add_accelerator(self, config, folder)
        self.sdrphy = GENSDRPHY(platform.request("sdram"), clock_hz)
        self.add_sdram("sdram", phy=self.sdrphy, module=MT48LC16M16(clock_hz, "1:1"), l2_cache_size=0)
        connect_dram(self, core)
        self.description = describe(self, core, "the ULX3S")
