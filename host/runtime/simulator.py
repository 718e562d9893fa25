"""The simulator for programs of a configuration."""

from pathlib import Path

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, accelerator, digest_files

WORKLOAD = ("workload.py", "workload_network.py")   # by name, since they need the compiler


def simulator_of(config: Config) -> Build:
    """The simulator of ``config``: the optimized one if it was made on this machine, else the normal one, built on demand.

    Raises ``ToolError`` and ``BuildError``.
    """
    return build(accelerator(config), FAST, workload=workload_digest())


def workload_digest() -> str:
    """A key of optimized builds that changes with the training workload."""
    return digest_files(map(Path(__file__).with_name, WORKLOAD))
