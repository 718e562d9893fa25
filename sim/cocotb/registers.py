"""The host's side of the registers, over AXI4-Lite by cocotbext-axi."""

from typing import Any

from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from arrayloom.sim.cocotb.memory import Traffic
from arrayloom.sim.rtl.errors import SimulationError

WORD = 4


class Registers:
    """The host's side of the AXI4-Lite slave port whose signals begin with ``prefix`` and an underscore."""

    def __init__(self, dut: Any, prefix: str, traffic: Traffic) -> None:
        self._master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, prefix), dut.clk, dut.rst)
        writes, reads = self._master.write_if, self._master.read_if
        channels = {"aw": writes.aw_channel, "w": writes.w_channel, "b": writes.b_channel, "ar": reads.ar_channel,
                    "r": reads.r_channel}
        for name, channel in channels.items():
            traffic.pauses(channel, f"lite {name}")

    async def write(self, address: int, value: int) -> None:
        """Writes 32 bits. Raises ``SimulationError`` when the accelerator refuses."""
        await self.write_bytes(address, value.to_bytes(WORD, "little"))

    async def write_bytes(self, address: int, data: bytes) -> None:
        """Writes single bytes: the others of the word keep their value."""
        _check("write", address, (await self._master.write(address, data)).resp)

    async def read(self, address: int) -> int:
        """Reads 32 bits. Raises ``SimulationError`` when the accelerator refuses."""
        answer = await self._master.read(address, WORD)
        _check("read", address, answer.resp)
        return int.from_bytes(answer.data, "little")


def _check(kind: str, address: int, response: int) -> None:
    if response != AxiResp.OKAY:
        raise SimulationError(f"{kind} of register 0x{address:03x} was refused with response {int(response)}: is there "
                              "such a register?")
