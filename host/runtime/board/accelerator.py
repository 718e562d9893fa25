"""An accelerator reached through a link: registers, memory, reset, and the wait for its interrupt."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.board.description import WORD, read_description
from arrayloom.host.runtime.board.links import Link, open_link
from arrayloom.host.runtime.board.memory_start import start_memory
from arrayloom.host.runtime.errors import BoardError
from arrayloom.isa.config import Config
from arrayloom.isa.registers import Register

OBSERVE_SECONDS = 0.05
QUIET_READS = 100       # each one takes longer than a burst
Words = NDArray[np.uint32]


class BoardAccelerator:
    """The accelerator of the system at ``port``; its memory is initialized and its core is reset.

    Raises ``BoardError`` if there is none, or its configuration is not ``config``.

    Attributes
    ----------
    base
        Byte address on its memory bus at which the program's memory begins.
    system
        The system's description of itself.
    """

    def __init__(self, port: str | None, config: Config) -> None:
        self.link: Link = open_link(port)
        try:
            self.system = read_description(self.link.read, self.link.port)
            if self.system.digest != config.digest:
                raise BoardError(f"{port}: the accelerator on {self.system.board} is of configuration "
                                 f"{self.system.config!r} and the program is for {config.name!r}: compile for "
                                 f"--config {self.system.config}, or build a bitstream for {config.name}")
            self.reset_core()
            start_memory(self.link, self.system)
        except BaseException:
            self.link.close()
            raise
        self.base = self.system.memory
        self._held: Words = np.zeros(0, np.uint32)      # the known content of the board's memory from ``base`` on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def reset_core(self) -> None:
        """Ends the current run and resets the registers, once outstanding bus transfers are complete.

        Raises ``BoardError`` if they never complete.
        """
        self.link.write(self.system.core_reset, [1])
        self.link.write(self.system.core_reset, [0])
        for _ in range(QUIET_READS):
            if not self.read_register(Register.BURSTS):
                return
        raise BoardError(f"{self.link.port}: the memory of {self.system.board} has not answered a burst of an earlier "
                         "run: load the bitstream again")

    def read_register(self, address: int) -> int:
        """Reads 32 bits."""
        return self.link.read(self.system.control + address, 1)[0]

    def write_register(self, address: int, value: int) -> None:
        """Writes 32 bits."""
        self.link.write(self.system.control + address, [value])

    def run(self, max_cycles: int, progress: Callable[[int], None] | None = None) -> object:
        """Waits for the interrupt, or ``max_cycles`` of the board's clock; ``progress`` is called with an estimate of
        the elapsed cycles. Raises ``BoardError`` if it does not come."""
        begin = seen = time.monotonic()
        while not self.link.read(self.system.done, 1)[0] & 1:
            now = time.monotonic()
            cycles = int((now - begin) * self.system.clock_hz)
            if cycles > max_cycles:
                raise BoardError(f"{self.link.port}: the run did not end in {max_cycles:,} cycles")
            if progress is not None and now - seen >= OBSERVE_SECONDS:
                progress(cycles)
                seen = now
        return None

    def load(self, memory: NDArray[np.uint8]) -> None:
        """Writes this content to memory from ``base`` on; only changed words are sent.

        Raises ``BoardError`` if the board has less memory.
        """
        if memory.size > self.system.memory_bytes:
            raise BoardError(f"{self.link.port}: the program needs {memory.size:,} bytes of memory and {self.system.board} "
                             f"has {self.system.memory_bytes:,}; compile a smaller network")
        wanted = _words(memory)
        known = np.zeros(wanted.size, np.bool_)
        shared = min(wanted.size, self._held.size)
        known[:shared] = wanted[:shared] == self._held[:shared]
        self.forget()       # unknown while it is sent
        for first, end in _runs(~known):
            self.link.write(self.base + WORD * first, wanted[first:end].tolist())
        self._held = wanted

    def forget(self) -> None:
        """Marks the content of the board's memory as unknown, so that all of it is sent again."""
        self._held = np.zeros(0, np.uint32)

    def fetch(self, memory: NDArray[np.uint8], begin: int, end: int) -> None:
        """Replaces bytes ``begin`` to ``end`` of ``memory`` by the content of the board's memory."""
        first, last = begin // WORD, -(-end // WORD)
        words = np.array(self.link.read(self.base + WORD * first, last - first), np.uint32)
        self._held[first:last] = words
        memory[begin:end] = words.view(np.uint8)[begin - WORD * first:end - WORD * first]

    def close(self) -> None:
        """Closes the link."""
        self.link.close()


def _words(memory: NDArray[np.uint8]) -> Words:
    padded = np.zeros(-(-memory.size // WORD) * WORD, np.uint8)
    padded[:memory.size] = memory
    return padded.view("<u4").astype(np.uint32)


def _runs(wanted: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
