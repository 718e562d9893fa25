"""What the registers say of a run, while it goes on and in the end."""

from collections.abc import Callable

from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.report import Progress, ProgressModel, RunReport
from arrayloom.isa.registers import Register


def register_observer(driver: Driver, progress: Progress) -> Callable[[], None]:
    """Gives ``progress`` where the run is, whenever it is called."""
    model = ProgressModel(driver.program)
    return lambda: progress(model.snapshot(driver.retired(), driver.read_64(Register.CYCLES)))


def report_of(driver: Driver, backend: str, seconds: float) -> RunReport:
    """The report of a run that has ended; ``seconds``: that it took."""
    program = driver.program
    return RunReport(backend, program.macs, program.configuration.multipliers, seconds, driver.read_64(Register.CYCLES),
                     driver.counters(), driver.read_64(Register.BEATS_READ), driver.read_64(Register.BEATS_WRITTEN))
