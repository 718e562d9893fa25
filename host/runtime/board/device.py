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
    """The accelerator of ``config`` at ``port``; the connection is made on creation.

    Raises ``BoardError`` if it cannot be reached or has another configuration.

    Attributes
    ----------
    accelerator
        The connection to it.
    """

    name = "board"

    def __init__(self, config: Config, port: str | None) -> None:
        self.config = config
        self.accelerator = BoardAccelerator(port, config)

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Sends the changed memory, runs from the doorbell to the interrupt, and reads back the memory that may have been
        written.

        ``wall_seconds`` of the report covers only the run. Raises ``RunError`` if the accelerator reports an error,
        and ``BoardError`` if the link fails.
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
        """None: POST's writes to the scratchpad are not visible outside the chip."""

    def capture(self) -> None:
        """None, for the same reason."""

    def close(self) -> None:
        self.accelerator.close()
