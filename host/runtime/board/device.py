"""The device whose accelerator is on a board."""

import time

from arrayloom.host.runtime.board.accelerator import BoardAccelerator
from arrayloom.host.runtime.device import Writes
from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.errors import RunError
from arrayloom.host.runtime.report import Progress, RunReport
from arrayloom.host.runtime.run_figures import register_observer, report_of
from arrayloom.host.runtime.stall import describe
from arrayloom.isa.config import Config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program


class BoardDevice:
    """The accelerator of ``config`` behind ``port``; it is reached before the first run.

    Raises ``BoardError`` when it cannot be reached or is of another configuration.

    Attributes:
        accelerator: how it is reached.
    """

    name = "board"

    def __init__(self, config: Config, port: str | None) -> None:
        self.config = config
        self.accelerator = BoardAccelerator(port, config)

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Sends what changed in memory, runs from the doorbell to the interrupt, and reads back what may have been written.

        ``wall_seconds`` of the report holds the run alone. Raises ``RunError`` when the accelerator reports an error, and
        ``BoardError`` when the link fails.
        """
        program.require(self.config)
        try:
            return self._run(program, memory, progress)
        except BaseException:
            self.accelerator.forget()
            raise

    def _run(self, program: Program, memory: Memory, progress: Progress | None) -> RunReport:
        self.accelerator.load(memory)
        driver = Driver(self.accelerator, program)
        begin = time.perf_counter()
        status = driver.run(progress and register_observer(driver, progress))
        seconds = time.perf_counter() - begin
        if not status.done:
            raise RunError(describe(driver, status))
        self.accelerator.fetch(memory, program.write_base, program.memory_bytes)
        return report_of(driver, self.name, seconds)

    def trace(self) -> Writes | None:
        """None: nothing of what POST writes to the scratchpad leaves the chip."""

    def capture(self) -> None:
        """None, for the same reason."""

    def close(self) -> None:
        self.accelerator.close()
