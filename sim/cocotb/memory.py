"""The memory on the accelerator's bus: cocotbext-axi implements the protocol, and this module answers for every word."""

import itertools
import logging
import random
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cocotb.triggers import ClockCycles, Event
from cocotbext.axi import AxiBus, AxiResp, AxiSlaveRead, AxiSlaveWrite
from numpy.typing import NDArray

# otherwise every burst would be logged, and every run would print the library's deprecation warnings for cocotb 3
logging.getLogger("cocotb.top").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=DeprecationWarning)


@dataclass(frozen=True)
class Traffic:
    """Random behaviour of the other side of a bus, drawn from ``seed``; the default is the fastest.

    Attributes
    ----------
    pause
        Chance in each cycle that a channel does nothing.
    delay
        Chance that a word is late.
    longest
        Most cycles by which a late word is late.
    mixed
        Words of read bursts with different identifiers come in any order and mixed.
    seed
        Seed of the generators.
    """

    pause: float = 0.0
    delay: float = 0.0
    longest: int = 40
    mixed: bool = False
    seed: int = 0

    def generator(self, name: str) -> random.Random:
        """The generator of one channel."""
        return random.Random(f"{self.seed} {name}")

    def pauses(self, channel: Any, name: str) -> None:
        """Makes a cocotbext-axi channel pause."""
        if self.pause:
            generator = self.generator(name)
            channel.set_pause_generator(generator.random() < self.pause for _ in itertools.count())


class BusFaultError(Exception):
    """An access to a word outside the memory; on the bus it becomes SLVERR."""


@dataclass
class BoardMemory:
    """Words of ``data``, uint8, at bus address ``base``; elsewhere, and in ``faults``, every access is refused.

    ``read_words`` and ``written_words`` count the accesses. ``freeze`` stops all answers until ``thaw``.
    """

    data: NDArray[np.uint8]
    base: int
    clock: Any
    traffic: Traffic
    faults: list[range] = field(default_factory=list)
    read_words: int = 0
    written_words: int = 0

    def __post_init__(self) -> None:
        self._delays = self.traffic.generator("delay")
        self._answering = Event()
        self.thaw()

    def freeze(self) -> None:
        """From now on no access is answered."""
        self._answering.clear()

    def thaw(self) -> None:
        """Accesses are answered again, including waiting ones."""
        self._answering.set()

    async def read(self, address: int, length: int) -> bytes:
        """The bytes at a bus address; raises ``BusFaultError``."""
        await self._wait()
        self.read_words += 1
        start = self._offset(address, length)
        return self.data[start:start + length].tobytes()

    async def write(self, address: int, data: bytes) -> None:
        """Places bytes at a bus address; raises ``BusFaultError``."""
        await self._wait()
        self.written_words += 1
        start = self._offset(address, len(data))
        self.data[start:start + len(data)] = np.frombuffer(data, np.uint8)

    async def _wait(self) -> None:
        if not self._answering.is_set():
            await self._answering.wait()
        if self._delays.random() < self.traffic.delay:
            await ClockCycles(self.clock, self._delays.randint(1, self.traffic.longest))

    def _offset(self, address: int, length: int) -> int:
        start = address - self.base
        if not 0 <= start <= self.data.size - length or any(address in fault for fault in self.faults):
            raise BusFaultError(f"nothing at {address:#x}")
        return start


class MixedReads(AxiSlaveRead):  # type: ignore[misc]
    """Answers read bursts with different identifiers in any order, word by word, as AXI4 allows."""

    OUTSTANDING = 16

    def __init__(self, bus: Any, clock: Any, reset: Any, target: BoardMemory) -> None:
        super().__init__(bus, clock, reset, target)
        self.ar_channel.queue_occupancy_limit = self.OUTSTANDING
        self._choices = target.traffic.generator("mixed")

    async def _process_read(self) -> None:
        words: dict[int, deque[tuple[int, bool]]] = {}
        while True:
            while not any(words.values()) or not self.ar_channel.empty():
                burst = await self.ar_channel.recv()
                words.setdefault(int(burst.arid), deque()).extend(self._words(burst))
            identifier = self._choices.choice([number for number, queue in words.items() if queue])
            await self._answer(identifier, *words[identifier].popleft())

    def _words(self, burst: Any) -> Iterator[tuple[int, bool]]:
        """Addresses of a burst's words, and whether each is the last."""
        beats = int(burst.arlen) + 1
        return ((int(burst.araddr) + n * self.byte_lanes, n == beats - 1) for n in range(beats))

    async def _answer(self, identifier: int, address: int, last: bool) -> None:
        word = self.r_channel._transaction_obj(rid=identifier, rlast=last, rresp=AxiResp.OKAY)
        try:
            word.rdata = int.from_bytes(await self._read(address, self.byte_lanes), "little")
        except BusFaultError:
            word.rresp = AxiResp.SLVERR
        await self.r_channel.send(word)


def connect_memory(dut: Any, prefix: str, memory: BoardMemory) -> None:
    """Puts ``memory`` on the AXI4 master port whose signals begin with ``prefix`` and an underscore."""
    bus, traffic = AxiBus.from_prefix(dut, prefix), memory.traffic
    reader = (MixedReads if traffic.mixed else AxiSlaveRead)(bus.read, dut.clk, dut.rst, memory)
    writer = AxiSlaveWrite(bus.write, dut.clk, dut.rst, memory)
    channels = {"ar": reader.ar_channel, "r": reader.r_channel, "aw": writer.aw_channel, "w": writer.w_channel,
                "b": writer.b_channel}
    for name, channel in channels.items():
        traffic.pauses(channel, name)
