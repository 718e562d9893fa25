"""The accelerator in a user's LiteX SoC, as the documentation describes it."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("litex", reason="the extra board is not installed")

from checkout import ROOT
from litedram.modules import MT48LC16M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import GenericPlatform
from litex.gen import ClockDomain, LiteXModule
from litex.soc.integration.soc_core import SoCCore

from arrayloom.host.board.quiet import quiet
from arrayloom.host.board.system import add_accelerator, describe
from arrayloom.host.runtime.errors import BoardError
from arrayloom.isa.config import PRESETS


class Clock(LiteXModule):
    def __init__(self) -> None:
        self.cd_sys = ClockDomain("sys")


@pytest.fixture
def soc() -> Any:
    with quiet():
        made = SoCCore(GenericPlatform("SIM", [], name="own"), 50e6, cpu_type=None, with_uart=False)
        made.crg = Clock()
        module = MT48LC16M16(50e6, "1:1")
        made.sdrphy = SDRAMPHYModel(module, data_width=16, clk_freq=50e6)
        made.add_sdram("sdram", phy=made.sdrphy, module=module, l2_cache_size=0)
        yield made


def test_the_example_of_the_page(soc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "board.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"soc": soc, "__name__": "example"}
    exec(example, names)
    found = names["description"]
    assert (found.board, found.config, found.memory, found.memory_bytes) == ("my board", "tiny", 0x4000_0000, 32 << 20)
    assert found.memory_start and soc.arrayloom_description.mem.init == found.words()


def test_memory_that_belongs_to_firmware_is_left_alone(soc: Any, tmp_path: Path) -> None:
    core = add_accelerator(soc, PRESETS["tiny"], tmp_path)
    with pytest.raises(BoardError, match=r"firmware_bytes = 100: must be a multiple of 4096"):
        describe(soc, core, "mine", firmware_bytes=100)
    found = describe(soc, core, "mine", firmware_bytes=8 << 20)
    assert (found.memory, found.memory_bytes) == (0x4080_0000, 24 << 20)
    assert not found.memory_start
