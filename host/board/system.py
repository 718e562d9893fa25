"""Adds an accelerator to a LiteX system: registers, memory, interrupt, and the ROM that describes them to a host."""

import re
from pathlib import Path
from typing import Any

from litedram import init
from litedram.frontend.axi import LiteDRAMAXI2Native
from litex.soc.integration.soc import SoCRegion

from arrayloom.host.board.core import AcceleratorCore
from arrayloom.host.board.lanes import Lanes
from arrayloom.host.runtime.board.description import (
    CONTROL,
    CONTROL_BYTES,
    DESCRIPTION,
    DESCRIPTION_BYTES,
    Description,
    Leveling,
    RegisterWrite,
)
from arrayloom.host.runtime.errors import BoardError
from arrayloom.isa.bus import PAGE_BYTES
from arrayloom.isa.config import Config

NAME = "arrayloom"
ROM = f"{NAME}_description"
COMMAND_BITS = {"CS": 1, "WE": 2, "CAS": 4, "RAS": 8}
CONTROL_BITS = {"SEL": 1, "CKE": 2, "ODT": 4, "RESET_N": 8}


def add_accelerator(soc: Any, config: Config, folder: Path) -> AcceleratorCore:
    """Adds the accelerator of ``config`` to a LiteX SoC: registers at ``CONTROL``, followed by its ROM.

    The memory is connected separately (``connect_dram``). Files of the accelerator are written into ``folder``.
    """
    core = AcceleratorCore(config, folder, soc.platform)
    soc.add_module(NAME, core)
    if soc.irq.enabled:
        soc.irq.add(NAME, use_loc_if_exists=True)
    soc.bus.add_slave(f"{NAME}_control", core.control, SoCRegion(origin=CONTROL, size=CONTROL_BYTES, cached=False))
    soc.add_rom(ROM, origin=DESCRIPTION, size=DESCRIPTION_BYTES, contents=[0])
    return core


def connect_dram(soc: Any, core: AcceleratorCore) -> None:
    """Gives the accelerator a separate port of the LiteDRAM controller ``soc.sdram``, bypassing bus and cache.

    The memory has the same address as on the bus. There must be no cache between bus and controller: it would hide
    the other side's writes.
    """
    width, crossbar = core.config.word_bits, soc.sdram.crossbar
    if width < crossbar.controller.data_width:
        lanes = Lanes(crossbar.get_port(), width)
        soc.add_module(f"{NAME}_lanes", lanes)
        port = lanes.narrow
    else:
        port = crossbar.get_port(data_width=width)
    soc.add_module(f"{NAME}_memory", LiteDRAMAXI2Native(core.memory, port, base_address=soc.bus.regions["main_ram"].origin))


def describe(soc: Any, core: AcceleratorCore, board: str, firmware_bytes: int = 0) -> Description:
    """Finishes the system and writes its description into the ROM; nothing can be added afterwards.

    ``firmware_bytes``: bytes at the beginning of main memory reserved for a CPU, whose firmware then
    also initializes the memory. Raises ``BoardError`` unless they are whole pages that leave room.
    """
    soc.finalize()
    registers = register_addresses(soc)
    memory = soc.bus.regions["main_ram"]
    if firmware_bytes % PAGE_BYTES or not 0 <= firmware_bytes < memory.size:
        raise BoardError(f"firmware_bytes = {firmware_bytes}: must be a multiple of {PAGE_BYTES} below the {memory.size:,} "
                         "bytes of main memory")
    settings = soc.sdram.controller.settings if hasattr(soc, "sdram") and not firmware_bytes else None
    found = Description(
        board=board, config=core.config.name, digest=core.config.digest, clock_hz=int(soc.sys_clk_freq),
        memory=memory.origin + firmware_bytes, memory_bytes=memory.size - firmware_bytes,
        core_reset=registers[f"{NAME}_core_reset"], done=registers[f"{NAME}_ev_status"],
        memory_start=_start(settings, registers) if settings else [],
        leveling=_leveling(settings, registers) if settings else None)
    soc.init_rom(ROM, found.words(), auto_size=False)
    return found


def register_addresses(soc: Any) -> dict[str, int]:
    """The byte address of every register that LiteX made, by its name."""
    addresses = {}
    for name, region in soc.csr_regions.items():
        at = region.origin
        for register in region.obj if isinstance(region.obj, list) else []:
            addresses[f"{name}_{register.name}"] = at
            at += 4 * -(-register.size // region.busword)
    return addresses


def _start(settings: Any, registers: dict[str, int]) -> list[RegisterWrite]:
    """The register writes by which LiteX's firmware initializes a memory."""
    steps, _ = init.get_sdram_phy_init_sequence(settings.phy, settings.timing)
    control, phase = registers["sdram_dfii_control"], "sdram_dfii_pi0_"
    writes = [RegisterWrite(control, CONTROL_BITS["CKE"] | CONTROL_BITS["ODT"] | CONTROL_BITS["RESET_N"])]
    for _, address, bank, command, wait in steps:
        kind, value = _command(command)
        if kind == "CONTROL":
            writes.append(RegisterWrite(control, value, wait))
            continue
        named = {"address": address, "baddress": bank, "command": value}
        writes += [RegisterWrite(registers[phase + name], number) for name, number in named.items()]
        writes.append(RegisterWrite(registers[phase + "command_issue"], 1, wait))
    return [*writes, RegisterWrite(control, CONTROL_BITS["SEL"])]


def _command(text: str) -> tuple[str, int]:
    """Parses ``DFII_COMMAND_RAS|DFII_COMMAND_CS`` and the like into the register and its value."""
    parts = re.findall(r"DFII_(CONTROL|COMMAND)_(\w+)", text)
    (kind,) = {kind for kind, _ in parts}
    bits = {"CONTROL": CONTROL_BITS, "COMMAND": COMMAND_BITS}[kind]
    return kind, sum(bits[name] for _, name in parts)


def _leveling(settings: Any, registers: dict[str, int]) -> Leveling | None:
    phy = settings.phy
    if not phy.read_leveling:
        return None
    prefix = "ddrphy_"
    return Leveling(
        select=registers[prefix + "dly_sel"], delay_reset=registers[prefix + "rdly_dq_rst"],
        delay_next=registers[prefix + "rdly_dq_inc"], bitslip_reset=registers[prefix + "rdly_dq_bitslip_rst"],
        bitslip_next=registers[prefix + "rdly_dq_bitslip"], modules=phy.databits // 8, delays=phy.delays,
        bitslips=phy.bitslips)
