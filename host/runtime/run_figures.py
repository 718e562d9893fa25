"""Reads a run's progress and final figures from the registers."""

from collections.abc import Callable

from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.report import Progress, ProgressModel, RunReport
from arrayloom.isa.registers import Register


def register_observer(driver: Driver, progress: Progress) -> Callable[[], None]:
    """Returns a function that passes the run's progress to ``progress``."""
    model = ProgressModel(driver.program)
    return lambda: progress(model.snapshot(driver.retired(), driver.read_64(Register.CYCLES)))


def report_of(driver: Driver, backend: str, seconds: float) -> RunReport:
    """The report of a run that has ended; ``seconds``: its duration."""
    program = driver.program
    return RunReport(backend, program.macs, program.configuration.multipliers, seconds, driver.read_64(Register.CYCLES),
                     driver.counters(), driver.read_64(Register.BEATS_READ), driver.read_64(Register.BEATS_WRITTEN))
